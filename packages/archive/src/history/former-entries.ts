import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { compareCursors, ListingCursor } from '../store/listing-cursor.ts'
import { isUnknownAt } from '../store/unknown-entry.ts'

/** An entry as the index still has it. */
export interface FormerEntry {
  /** Good until the next one is looked for. */
  readonly cursor: ListingCursor
  /** Of a file. */
  readonly fact: Uint8Array | undefined
}

/**
 * Looks up entries of the index one after the other. What is asked for comes nearly in the order of the listings, so each directory is
 * walked a few times, however many steps a sync has in it.
 */
export class FormerEntries {
  readonly #index: ArchiveIndex
  readonly #area: string
  #directory: RelativePath | undefined
  #stored: StoredDirectory = EMPTY_DIRECTORY
  #cursor = new ListingCursor(EMPTY_DIRECTORY.listing)
  #files = 0
  /** The name that was looked for last. */
  #last: Uint8Array = new Uint8Array(0)

  constructor (index: ArchiveIndex, area: string) {
    this.#index = index
    this.#area = area
  }

  /** @param wanted stands at the name that is looked for */
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

  /** An entry of the index as it was stored, also if its copy is damaged by now; unknown is what others put there. */
  asStored (directory: RelativePath, known: FormerEntry): FormerEntry | 'unknown' {
    if (!isUnknownAt(known.cursor)) return known
    const path = joinPath(directory, known.cursor.name())
    const stored = this.#index.damagesAt(this.#area, path).find(({ untilMs }) => untilMs === undefined)?.stored
    if (stored === undefined) return 'unknown'
    const cursor = new ListingCursor(stored.listing)
    cursor.next()
    return { cursor, fact: cursor.kind === ENTRY_KINDS.file ? stored.facts : undefined }
  }

  /** Whether the index has the directory at all. */
  has (directory: RelativePath): boolean {
    return this.#index.listing({ area: this.#area, directory }) !== undefined
  }

  /** Has the index looked at again: it has changed. */
  invalidate (): void {
    this.#directory = undefined
  }

  #restart (): void {
    this.#cursor = new ListingCursor(this.#stored.listing)
    this.#cursor.next()
    this.#files = 0
  }
}

/** The bytes of the name that a cursor is at. */
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
