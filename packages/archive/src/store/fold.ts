import { DIGEST_BYTES, ENTRY_KINDS, ROOT_PATH } from '@filesync/protocol'
import type { Digest, Name } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import { compareCursors, ListingBuilder, ListingCursor } from './listing-cursor.ts'
import { INDEX_ONLY, isContent } from './section.ts'
import type { Section } from './section.ts'

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
  const fold = new Fold(old)
  const runs = makeRuns(sections)
  fold.cursor.next()
  for (;;) {
    let next: Run | undefined
    for (const run of runs) {
      if (!run.cursor.isDone && (next === undefined || compareCursors(run.cursor, next.cursor) < 0)) next = run
    }
    if (next === undefined) break
    while (!fold.cursor.isDone && compareCursors(fold.cursor, next.cursor) < 0) fold.keep(removed)
    fold.merge(next)
    for (const run of runs) if (run !== next && compareCursors(run.cursor, next.cursor) === 0) run.next()
    next.next()
  }
  while (!fold.cursor.isDone) fold.keep(removed)
  return fold.finish()
}

/** Sections of one directory whose names are in order. */
class Run {
  readonly #sections: Section[]
  #at = 0
  cursor: ListingCursor

  constructor (first: Section) {
    this.#sections = [first]
    this.cursor = new ListingCursor(first.entries)
    this.cursor.next()
  }

  get section (): Section {
    return this.#sections[this.#at] ?? EMPTY_SECTION
  }

  push (section: Section): void {
    this.#sections.push(section)
  }

  next (): void {
    while (!this.cursor.next() && this.#at < this.#sections.length - 1) {
      this.#at++
      this.cursor = new ListingCursor(this.section.entries)
    }
  }
}

const EMPTY_SECTION: Section = {
  directory: ROOT_PATH,
  entries: EMPTY_DIRECTORY.listing,
  staged: new Uint32Array(0),
  facts: new Uint8Array(0),
}

// Tasks are answered nearly in order, so thousands of sections form a handful of runs.
function makeRuns (sections: readonly Section[]): Run[] {
  const spans = sections.map(section => {
    const first = new ListingCursor(section.entries)
    first.next()
    const last = new ListingCursor(section.entries)
    for (let left = last.count; left > 0; left--) last.next()
    return { section, first, last }
  }).filter(span => span.first.count > 0)
  spans.sort((a, b) => compareCursors(a.first, b.first))
  const runs: { readonly run: Run, last: ListingCursor }[] = []
  for (const { section, first, last } of spans) {
    const open = runs.find(run => compareCursors(run.last, first) < 0)
    if (open === undefined) {
      runs.push({ run: new Run(section), last })
    } else {
      open.run.push(section)
      open.last = last
    }
  }
  return runs.map(({ run }) => run)
}

/** Merges sections into a directory while walking its old listing. */
class Fold {
  readonly cursor: ListingCursor
  readonly #oldFacts: Uint8Array
  readonly #listing = new ListingBuilder()
  readonly #facts: Uint8Array[] = []
  readonly #lost: Name[] = []
  #oldFiles = 0

  constructor (old: StoredDirectory) {
    this.cursor = new ListingCursor(old.listing)
    this.#oldFacts = old.facts
  }

  keep (removed: ReadonlySet<string>): void {
    const { cursor } = this
    const gone = removed.size > 0 && removed.has(cursor.name())
    if (gone && cursor.kind === ENTRY_KINDS.directory) this.#lost.push(cursor.name())
    if (!gone) this.#listing.add(cursor.bytes.subarray(cursor.start, cursor.end))
    const fact = this.#oldFact()
    if (!gone && fact !== undefined) this.#facts.push(fact)
    cursor.next()
  }

  merge ({ cursor, section }: Run): void {
    const replaces = compareCursors(this.cursor, cursor) === 0 && !cursor.isDone
    const kept = replaces ? this.#oldFact() : undefined
    if (replaces && this.cursor.kind === ENTRY_KINDS.directory && cursor.kind !== ENTRY_KINDS.directory) {
      this.#lost.push(cursor.name())
    }
    if (replaces) this.cursor.next()
    if (cursor.kind === ENTRY_KINDS.file) {
      const fact = isContent(section.staged[cursor.index] ?? INDEX_ONLY)
        ? section.facts.subarray(cursor.index * FACT_BYTES, (cursor.index + 1) * FACT_BYTES)
        : kept
      // The file was to keep its content but has none, so the next sync asks for it.
      if (fact === undefined) return
      this.#facts.push(fact)
    }
    this.#listing.add(cursor.bytes.subarray(cursor.start, cursor.end))
  }

  finish (): Folded {
    const facts = new Uint8Array(this.#facts.length * FACT_BYTES)
    this.#facts.forEach((fact, i) => { facts.set(fact, i * FACT_BYTES) })
    return { listing: this.#listing.finish(), facts, lostDirectories: this.#lost }
  }

  #oldFact (): Uint8Array | undefined {
    if (this.cursor.kind !== ENTRY_KINDS.file) return undefined
    const at = this.#oldFiles++ * FACT_BYTES
    return this.#oldFacts.subarray(at, at + FACT_BYTES)
  }
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
