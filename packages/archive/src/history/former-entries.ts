import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { compareBytes, compareCursors, ListingCursor, nameOf } from '../store/listing-cursor.ts'
import { PageLookup } from '../store/page-lookup.ts'
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
  readonly #pages: PageLookup
  #page: StoredDirectory | undefined
  #cursor = new ListingCursor(EMPTY_DIRECTORY.listing)
  #files = 0
  /** The name that was looked up last. */
  #last: Uint8Array = new Uint8Array(0)

  constructor (index: ArchiveIndex, area: string) {
    this.#index = index
    this.#area = area
    this.#pages = new PageLookup(index, area)
  }

  /** @param wanted a cursor at the name to look up */
  find (directory: RelativePath, wanted: ListingCursor): FormerEntry | 'unknown' | undefined {
    const page = this.#pages.find(directory, wanted.name()) ?? EMPTY_DIRECTORY
    if (page !== this.#page || compareBytes(nameOf(wanted), this.#last) < 0) this.#restart(page)
    this.#last = nameOf(wanted)
    for (;;) {
      const order = compareCursors(this.#cursor, wanted)
      if (this.#cursor.isDone || order > 0) return undefined
      if (order === 0) break
      if (this.#cursor.kind === ENTRY_KINDS.file) this.#files++
      this.#cursor.next()
    }
    const isFile = this.#cursor.kind === ENTRY_KINDS.file
    const fact = isFile ? page.facts.subarray(this.#files * FACT_BYTES, (this.#files + 1) * FACT_BYTES) : undefined
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
    return this.#index.stored({ area: this.#area, directory }) !== undefined
  }

  /** Call it after the index changed. */
  invalidate (): void {
    this.#pages.invalidate()
    this.#page = undefined
  }

  #restart (page: StoredDirectory): void {
    this.#page = page
    this.#cursor = new ListingCursor(page.listing)
    this.#cursor.next()
    this.#files = 0
  }
}
