import { ENTRY_KINDS } from '@filesync/protocol'
import type { StoredSoFar } from '../sync-contract.ts'
import { FIRST_LINK, FIRST_RELOCATION } from '../compare/moves.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { isContent, NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'

/** How much of a sync is stored, and who is notified of it. */
export class StoredProgress {
  /** See `Sync.onStored`. */
  onStored: ((stored: StoredSoFar) => void) | undefined
  #stored: StoredSoFar = { files: 0, bytes: 0, renamed: 0, deleted: 0 }
  #reportedRenamed = 0
  /** Sizes of files that were placed without a transfer: those that moved, and further names of others. */
  #heldBytes = 0

  get stored (): StoredSoFar {
    return this.#stored
  }

  /** All files that were placed, also those that moved. */
  get placed (): { readonly files: number, readonly bytes: number } {
    const { files, bytes, renamed } = this.#stored
    return { files: files + renamed, bytes: bytes + this.#heldBytes }
  }

  /** Adds sections that are durable in their places, and reports if there are files among them. */
  addPlaced (sections: readonly Section[]): void {
    const counts = countPlaced(sections)
    const { files, bytes, renamed } = this.#stored
    this.#stored = { ...this.#stored, files: files + counts.files, bytes: bytes + counts.bytes, renamed: renamed + counts.renamed }
    this.#heldBytes += counts.heldBytes
    if (counts.files > 0) this.#report()
  }

  /** Sets how many files left the mirror. Reports that, and moves that no batch of files has reported. */
  setDeleted (deleted: number): void {
    this.#stored = { ...this.#stored, deleted }
    if (deleted > 0 || this.#stored.renamed > this.#reportedRenamed) this.#report()
  }

  #report (): void {
    this.#reportedRenamed = this.#stored.renamed
    this.onStored?.(this.#stored)
  }
}

interface Placed {
  readonly files: number
  readonly bytes: number
  readonly renamed: number
  readonly heldBytes: number
}

/** Files and bytes that were transferred, and files that moved. */
function countPlaced (sections: readonly Section[]): Placed {
  let [files, bytes, renamed, heldBytes] = [0, 0, 0, 0]
  for (const { entries, staged, facts } of sections) {
    if (facts.length === 0) continue
    const cursor = new ListingCursor(entries)
    while (cursor.next()) {
      const number = staged[cursor.index] ?? NOT_STAGED
      if (!isContent(number) || cursor.kind !== ENTRY_KINDS.file) continue
      if (number >= FIRST_RELOCATION) {
        renamed++
        heldBytes += cursor.sizeBytes()
      } else {
        files++
        // The content of a further name is that of another file.
        if (number < FIRST_LINK) bytes += cursor.sizeBytes()
        else heldBytes += cursor.sizeBytes()
      }
    }
  }
  return { files, bytes, renamed, heldBytes }
}
