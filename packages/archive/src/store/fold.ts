import { DIGEST_BYTES, ENTRY_KINDS } from '@filesync/protocol'
import type { Digest, Name } from '@filesync/protocol'
import { DirectoryBuilder } from './directory-builder.ts'
import type { EntryRange, EntrySink, FactRange } from './directory-builder.ts'
import { FACT_BYTES } from './facts.ts'
import { compareBytes, compareCursors, ListingBuilder, ListingCursor, nameOf } from './listing-cursor.ts'
import { INDEX_ONLY, isContent } from './section.ts'
import type { Section } from './section.ts'
import { makeRuns } from './section-runs.ts'
import type { Run } from './section-runs.ts'

/** A directory as stored: its listing, and the facts of its files in the order of the listing. */
export interface StoredDirectory {
  readonly listing: Uint8Array
  readonly facts: Uint8Array
}

export const EMPTY_DIRECTORY: StoredDirectory = { listing: Uint8Array.of(0x90), facts: new Uint8Array(0) }

export interface Folded extends StoredDirectory {
  /** Names that no longer are directories; their subtrees must leave the index. */
  readonly lostDirectories: readonly Name[]
}

/** Applies placed sections and removed names to a directory. Applying them again changes nothing. */
export function foldDirectory (old: StoredDirectory, sections: readonly Section[], removed: ReadonlySet<string>): Folded {
  const builder = new DirectoryBuilder()
  const lostDirectories: Name[] = []
  foldPage(old, { runs: makeRuns(sections), removed, lost: lostDirectories }, { sink: builder })
  return { ...builder.finish(), lostDirectories }
}

/** What changes in a directory, while its pages are folded one by one. */
export interface Fold {
  readonly runs: readonly Run[]
  readonly removed: ReadonlySet<string>
  /** Receives names that no longer are directories. */
  readonly lost: Name[]
  /** Gives the digest of a directory, if it differs from that in its entry. */
  readonly digestOf?: ((name: Name) => Digest | undefined) | undefined
}

/** Where the entries of a folded page go. */
export interface PageTarget {
  readonly sink: EntrySink
  /** The first name of the next page; undefined if there is none. */
  readonly before?: Uint8Array | undefined
}

/** Folds the entries of one page, and everything new before the next page. The runs are then at the first entry that is not before it. */
export function foldPage (old: StoredDirectory, fold: Fold, { sink, before }: PageTarget): void {
  const page = new PageFold(old, fold, sink)
  for (;;) {
    const next = nextRun(fold.runs)
    if (next === undefined || (before !== undefined && compareBytes(nameOf(next.cursor), before) >= 0)) break
    page.keepBefore(next.cursor)
    page.merge(next)
    for (const run of fold.runs) if (run !== next && compareCursors(run.cursor, next.cursor) === 0) run.next()
    next.next()
  }
  page.keepAll()
}

/** The run whose next entry comes first. */
export function nextRun (runs: readonly Run[]): Run | undefined {
  let next: Run | undefined
  for (const run of runs) {
    if (!run.cursor.isDone && (next === undefined || compareCursors(run.cursor, next.cursor) < 0)) next = run
  }
  return next
}

/** Merges sections into a page while walking its old listing. */
class PageFold {
  readonly #cursor: ListingCursor
  readonly #facts: Uint8Array
  readonly #fold: Fold
  readonly #sink: EntrySink
  #oldFiles = 0

  constructor (old: StoredDirectory, fold: Fold, sink: EntrySink) {
    this.#cursor = new ListingCursor(old.listing)
    this.#cursor.next()
    this.#facts = old.facts
    this.#fold = fold
    this.#sink = sink
  }

  /** Keeps the old entries before that at a cursor, except for removed ones. */
  keepBefore (cursor: ListingCursor): void {
    while (!this.#cursor.isDone && compareCursors(this.#cursor, cursor) < 0) this.#keep()
  }

  keepAll (): void {
    while (!this.#cursor.isDone) this.#keep()
  }

  merge ({ cursor, section }: Run): void {
    const old = this.#cursor
    const replaces = !old.isDone && !cursor.isDone && compareCursors(old, cursor) === 0
    const kept = replaces ? this.#oldFact() : undefined
    if (replaces && old.kind === ENTRY_KINDS.directory && cursor.kind !== ENTRY_KINDS.directory) this.#fold.lost.push(cursor.name())
    if (replaces) old.next()
    if (cursor.kind !== ENTRY_KINDS.file) {
      this.#add(cursor, undefined)
      return
    }
    const fact = isContent(section.staged[cursor.index] ?? INDEX_ONLY)
      ? { bytes: section.facts, at: cursor.index * FACT_BYTES }
      : kept
    // Without facts the file was to keep its content but has none, so the next sync asks for it.
    if (fact !== undefined) this.#add(cursor, fact)
  }

  #keep (): void {
    const cursor = this.#cursor
    const { removed, lost } = this.#fold
    const isGone = removed.size > 0 && removed.has(cursor.name())
    if (isGone && cursor.kind === ENTRY_KINDS.directory) lost.push(cursor.name())
    const fact = this.#oldFact()
    if (!isGone) this.#add(cursor, fact)
    cursor.next()
  }

  #add (cursor: ListingCursor, fact: FactRange | undefined): void {
    const digest = cursor.kind === ENTRY_KINDS.directory ? this.#fold.digestOf?.(cursor.name()) : undefined
    this.#sink.add(digest === undefined ? cursor : withDigest(cursor, digest), fact)
  }

  #oldFact (): FactRange | undefined {
    if (this.#cursor.kind !== ENTRY_KINDS.file) return undefined
    return { bytes: this.#facts, at: this.#oldFiles++ * FACT_BYTES }
  }
}

/** The entry of a directory with another digest. */
function withDigest ({ bytes, start, end, nameStart, nameEnd }: ListingCursor, digest: Digest): EntryRange {
  const patched = bytes.slice(start, end)
  patched.set(digest, patched.length - DIGEST_BYTES)
  return { bytes: patched, start: 0, end: patched.length, nameStart: nameStart - start, nameEnd: nameEnd - start }
}

/**
 * Replaces the digests of directories in a listing, and removes the directories whose digest is undefined. Returns the listing itself
 * if nothing changes.
 */
export function patchDigests (listing: Uint8Array, digestOf: (name: Name) => Digest | 'keep' | undefined): Uint8Array {
  const cursor = new ListingCursor(listing)
  const builder = new ListingBuilder()
  let differs = false
  while (cursor.next()) {
    const entry = listing.subarray(cursor.start, cursor.end)
    const digest = cursor.kind === ENTRY_KINDS.directory ? digestOf(cursor.name()) : 'keep'
    if (digest === undefined) {
      differs = true
    } else if (digest === 'keep') {
      builder.add(entry)
    } else {
      const patched = entry.slice()
      patched.set(digest, patched.length - DIGEST_BYTES)
      differs ||= patched.some((byte, i) => byte !== entry[i])
      builder.add(patched)
    }
  }
  return differs ? builder.finish() : listing
}
