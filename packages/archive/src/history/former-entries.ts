import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { compareCursors, ListingCursor } from '../store/listing-cursor.ts'
import { isUnknownAt } from '../store/unknown-entry.ts'

/** An entry as it is in the index before a step is written to it. */
export interface FormerEntry {
  /** Valid until the next lookup. */
  readonly cursor: ListingCursor
  /** If it is a file. */
  readonly fact: Uint8Array | undefined
}

/**
 * Looks up entries of the index. Lookups come nearly in the order of the listings, so each directory is walked only a few times, however
 * many steps of a sync change it.
 */
export class FormerEntries {
  readonly #index: ArchiveIndex
  readonly #area: string
  #directory: RelativePath | undefined
  #stored: StoredDirectory = EMPTY_DIRECTORY
  #cursor = new ListingCursor(EMPTY_DIRECTORY.listing)
  #files = 0
  /** The name that was looked up last. */
  #last: Uint8Array = new Uint8Array(0)

  constructor (index: ArchiveIndex, area: string) {
    this.#index = index
    this.#area = area
  }

  /** @param wanted a cursor at the name to look up */
  find (directory: RelativePath, wanted: ListingCursor): FormerEntry | 'unknown' | undefined {
    if (directory !== this.#directory) {
      this.#directory = directory
      this.#stored = this.#index.directory({ area: this.#area, directory }) ?? EMPTY_DIRECTORY
      this.#restart()
    } else if (compareBytes(nameOf(wanted), this.#last) < 0) {
      this.#restart()
    }
    this.#last = nameOf(wanted)
    for (;;) {
      const order = compareCursors(this.#cursor, wanted)
      if (this.#cursor.isDone || order > 0) return undefined
      if (order === 0) break
      if (this.#cursor.kind === ENTRY_KINDS.file) this.#files++
      this.#cursor.next()
    }
    const isFile = this.#cursor.kind === ENTRY_KINDS.file
    const fact = isFile ? this.#stored.facts.subarray(this.#files * FACT_BYTES, (this.#files + 1) * FACT_BYTES) : undefined
    return this.asStored(directory, { cursor: this.#cursor, fact })
  }

  /** An entry of the index as stored, even if its copy is damaged by now; 'unknown' if it was put there by hand. */
  asStored (directory: RelativePath, known: FormerEntry): FormerEntry | 'unknown' {
    if (!isUnknownAt(known.cursor)) return known
    const path = joinPath(directory, known.cursor.name())
    const stored = this.#index.damagesAt(this.#area, path).find(({ untilMs }) => untilMs === undefined)?.stored
    if (stored === undefined) return 'unknown'
    const cursor = new ListingCursor(stored.listing)
    cursor.next()
    return { cursor, fact: cursor.kind === ENTRY_KINDS.file ? stored.facts : undefined }
  }

  /** Whether the index has the directory. */
  has (directory: RelativePath): boolean {
    return this.#index.listing({ area: this.#area, directory }) !== undefined
  }

  /** Call it after the index changed. */
  invalidate (): void {
    this.#directory = undefined
  }

  #restart (): void {
    this.#cursor = new ListingCursor(this.#stored.listing)
    this.#cursor.next()
    this.#files = 0
  }
}

/** The bytes of the name at a cursor. */
export function nameOf ({ bytes, nameStart, nameEnd }: ListingCursor): Uint8Array {
  return bytes.subarray(nameStart, nameEnd)
}

/** Canonical order of two names. */
export function compareBytes (left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}
