import { compareNames, ENTRY_KINDS, encodeListing, joinPath } from '@filesync/protocol'
import type { Clock, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import { FACT_BYTES, stampFact } from '../store/facts.ts'
import { compareBytes, ListingCursor } from '../store/listing-cursor.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { pagesIn } from '../store/rewrite-pages.ts'
import { isUnknownAt } from '../store/unknown-entry.ts'
import { INDEX_ONLY, isContent, NOT_STAGED, STAYS_THERE, WAS_KEPT, WAS_NOTHING } from '../store/section.ts'
import type { BatchOutcome, Removal, Section } from '../store/section.ts'
import { ChangeTally } from './change-tally.ts'
import { HistoryBatch } from './history-batch.ts'
import { NO_FOLDER } from './change-log.ts'
import type { HistoryChange } from './change-log.ts'
import { FormerEntries } from './former-entries.ts'
import type { FormerEntry } from './former-entries.ts'
import type { Position } from '../store/position.ts'

export interface ChangeHistoryInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'appendHistory' | 'traits'>
  readonly hash: HashBytes
  readonly clock: Pick<Clock, 'nowMs'>
  /** The number of the sync, and when it began. */
  readonly began: Position
  /** Whether the index did not have a directory before the sync; it may have a part of it by now. By default the index is asked. */
  readonly isNew?: (directory: RelativePath) => boolean
}

/** One step of a sync, and its outcome. */
export interface SyncStep {
  readonly number: number
  readonly outcome: BatchOutcome
  /** Set if a crash may have interrupted the step: when it began, which counts as the time of everything that was done before the crash. */
  readonly begunMs?: number
}

/** An entry that was placed, and what was there before (as in `BatchOutcome.before`). */
interface PlacedEntry {
  readonly section: Section
  readonly cursor: ListingCursor
  readonly before: number
  readonly atMs: number
}

/** An entry that left the mirror or the index. */
interface LeftEntry {
  readonly kind: HistoryChange['kind']
  readonly directory: RelativePath
  /** At the entry's name. */
  readonly cursor: ListingCursor
  readonly old: FormerEntry | 'unknown' | undefined
  readonly atMs: number
  readonly folder: number
}

type LeftPage = Pick<LeftEntry, 'kind' | 'directory'>

/**
 * Records the state of the mirror before each step of a sync: entries that are replaced, removed, or get another mtime or mode, and when
 * that happened. New files need no record, because the index has the time at which they were stored. Record a step before writing it to
 * the index.
 */
export class ChangeHistory {
  /** What was recorded so far. */
  readonly tally: ChangeTally = new ChangeTally()
  readonly #init: ChangeHistoryInit
  readonly #former: FormerEntries
  #lastMs: number

  constructor (init: ChangeHistoryInit) {
    this.#init = init
    this.#former = new FormerEntries(init.index, init.area)
    this.#lastMs = init.began.ms
  }

  /** The latest time that was recorded. Later syncs begin after it. */
  get lastMs (): number {
    return this.#lastMs
  }

  /** The present time, as a time of this sync: no recorded one is later, and later syncs begin after it. */
  now (): number {
    this.#lastMs = Math.max(this.#lastMs, this.#init.clock.nowMs())
    return this.#lastMs
  }

  /** Records that sections were placed, and writes the time of placing to their facts. */
  async recordPlaced (sections: readonly Section[], step: SyncStep): Promise<void> {
    const { number, outcome } = step
    const batch = new HistoryBatch(number, this.#init)
    const times = this.#timesOf(step)
    const failed = new Set(outcome.failures.map(failure => `${String(failure.section)}:${String(failure.entry)}`))
    this.#former.invalidate()
    let start = 0
    for (const [place, section] of sections.entries()) {
      const count = section.staged.length
      this.#stamp(section, times, start)
      if (isAllNew(section, outcome, start) && this.#isNew(section.directory)) {
        this.tally.hasChanged = true
        start += count
      } else {
        const cursor = new ListingCursor(section.entries)
        for (; cursor.next(); start++) {
          const hasFailed = failed.size > 0 && failed.has(`${String(place)}:${String(cursor.index)}`)
          const { directory, staged } = section
          if (hasFailed && step.begunMs !== undefined && isContent(staged[cursor.index] ?? NOT_STAGED)) {
            // The new content was lost in the crash, and what was there may already have been moved to versions.
            const old = this.#former.find(directory, cursor)
            this.#addLeft(batch, { kind: 'removed', directory, cursor, old, atMs: step.begunMs, folder: 0 })
          }
          if (!hasFailed) this.#addPlaced(batch, { section, cursor, before: outcome.before[start] ?? STAYS_THERE, atMs: times(start) })
        }
      }
    }
    await this.#append(batch)
  }

  /** Records that names were removed from the mirror. */
  async recordRemoved (removals: readonly Removal[], step: SyncStep): Promise<void> {
    const { number, outcome } = step
    const batch = new HistoryBatch(number, this.#init)
    const times = this.#timesOf(step)
    let at = 0
    for (const { directory, names } of removals) {
      this.#former.invalidate()
      // Lookups are fast in the order of the listing.
      const order = names.map((name, i) => ({ name, at: at + i })).sort((a, b) => compareNames(a.name, b.name))
      at += names.length
      for (const { name, at: entry } of order) {
        const before = outcome.before[entry] ?? STAYS_THERE
        if (before === STAYS_THERE) continue
        const cursor = cursorOf(name)
        const old = this.#former.find(directory, cursor)
        const atMs = times(entry)
        if (before >= WAS_KEPT) this.#addLeft(batch, { kind: 'removed', directory, cursor, old, atMs, folder: before - WAS_KEPT })
        else if (this.#isIndexOnly(old)) this.#addLeft(batch, { kind: 'removed', directory, cursor, old, atMs, folder: NO_FOLDER })
        // It was removed before the crash, or by hand.
        else if (step.begunMs !== undefined) this.#addLeft(batch, { kind: 'removed', directory, cursor, old, atMs, folder: 0 })
        else this.#addLeft(batch, { kind: 'released', directory, cursor, old, atMs, folder: NO_FOLDER })
      }
    }
    await this.#append(batch)
  }

  /** Records that names leave the index but stay in the mirror. */
  async recordReleased (removals: readonly Removal[], number = 0): Promise<void> {
    const batch = new HistoryBatch(number, this.#init)
    const atMs = this.now()
    for (const { directory, names } of removals) {
      this.#former.invalidate()
      for (const name of [...names].sort(compareNames)) {
        const cursor = cursorOf(name)
        const old = this.#former.find(directory, cursor)
        this.#addLeft(batch, { kind: 'released', directory, cursor, old, atMs, folder: NO_FOLDER })
      }
    }
    await this.#append(batch)
  }

  #addPlaced (batch: HistoryBatch, { section, cursor, before, atMs }: PlacedEntry): void {
    const { directory, staged } = section
    const number = staged[cursor.index] ?? NOT_STAGED
    const isNewContent = cursor.kind === ENTRY_KINDS.file && isContent(number)
    const old = this.#former.find(directory, cursor)
    if (isNewContent) this.tally.hasChanged = true
    if (before >= WAS_KEPT) {
      this.#addLeft(batch, { kind: 'replaced', directory, cursor, old, atMs, folder: before - WAS_KEPT })
      this.tally.addReplaced(section, cursor, old)
    } else if (before === WAS_NOTHING || old === undefined) {
      // What was there had been removed by hand, or was a link that only the index had.
      const kind = this.#isIndexOnly(old) ? 'removed' : 'released'
      this.#addLeft(batch, { kind, directory, cursor, old, atMs, folder: NO_FOLDER })
      if (isNewContent) {
        this.tally.addReplaced(section, cursor, old)
        return
      }
      this.tally.hasChanged = true
      batch.add('made', directory, { cursor, fact: undefined, atMs, folder: NO_FOLDER })
    } else if (isNewContent) {
      // A step that a crash interrupted placed it: what was there is in the sync's folder.
      this.#addLeft(batch, { kind: 'replaced', directory, cursor, old, atMs, folder: 0 })
    } else if (number === INDEX_ONLY && old !== 'unknown' && old.cursor.kind !== cursor.kind) {
      // What was there had to leave first, which is recorded.
      this.tally.hasChanged = true
      batch.add('made', directory, { cursor, fact: undefined, atMs, folder: NO_FOLDER })
    } else if (old !== 'unknown' && isOtherEntry(old.cursor, cursor)) {
      // Likewise, of a directory or a link.
      this.#addLeft(batch, { kind: 'replaced', directory, cursor, old, atMs, folder: 0 })
      this.tally.addReplaced(section, cursor, old)
    } else if (old !== 'unknown' && hasOtherMetadata(old.cursor, cursor)) {
      this.tally.hasChanged = true
      batch.add('touched', directory, { ...old, atMs, folder: NO_FOLDER })
    }
  }

  #addLeft (batch: HistoryBatch, left: LeftEntry): void {
    const { kind, directory, cursor, old, atMs, folder } = left
    if (kind !== 'released') this.tally.hasChanged = true
    if (old === undefined || old === 'unknown') {
      if (kind === 'released') return
      // It was put there by hand: only where it went is known.
      batch.add(kind, directory, { cursor, fact: undefined, atMs, folder, isUnknown: true })
      return
    }
    batch.add(kind, directory, { ...old, atMs, folder })
    if (kind === 'removed' && old.cursor.kind === ENTRY_KINDS.file) this.tally.removed++
    // What replaced the directory replaced nothing inside it.
    const below = { ...left, kind: kind === 'replaced' ? 'removed' : kind } as const
    if (old.cursor.kind === ENTRY_KINDS.directory) this.#addBelow(batch, joinPath(directory, old.cursor.name()), below)
  }

  #addBelow (batch: HistoryBatch, top: RelativePath, { kind, atMs, folder }: Pick<LeftEntry, 'kind' | 'atMs' | 'folder'>): void {
    const { index, area } = this.#init
    const below = [top]
    for (let directory = below.pop(); directory !== undefined; directory = below.pop()) {
      for (const page of pagesIn(index, { area, directory })) {
        const isKnown = this.#countBelow(page, { directory, kind, below })
        if (isKnown) batch.addDirectory(kind, directory, { ...page, entries: new ListingCursor(page.listing).count, atMs, folder })
        else this.#addKnown(batch, page, { directory, kind, atMs, folder })
      }
    }
  }

  /** Counts the files of a page that left, and finds its directories. Whether it has only known entries, and any. */
  #countBelow ({ listing }: StoredDirectory, { directory, kind, below }: LeftPage & { readonly below: RelativePath[] }): boolean {
    const cursor = new ListingCursor(listing)
    let isAnyUnknown = false
    while (cursor.next()) {
      if (cursor.kind === ENTRY_KINDS.directory) below.push(joinPath(directory, cursor.name()))
      if (cursor.kind === ENTRY_KINDS.file && kind === 'removed') this.tally.removed++
      isAnyUnknown ||= isUnknownAt(cursor)
    }
    return cursor.count > 0 && !isAnyUnknown
  }

  /** Adds the entries of a page that are not unknown. */
  #addKnown (
    batch: HistoryBatch, { listing, facts }: StoredDirectory, { directory, kind, ...left }: LeftPage & Pick<LeftEntry, 'atMs' | 'folder'>,
  ): void {
    let files = 0
    for (const each = new ListingCursor(listing); each.next();) {
      const fact = each.kind === ENTRY_KINDS.file ? facts.subarray(files * FACT_BYTES, ++files * FACT_BYTES) : undefined
      const old = this.#former.asStored(directory, { cursor: each, fact })
      if (old !== 'unknown') batch.add(kind, directory, { ...old, ...left })
    }
  }

  #stamp ({ facts, staged }: Section, times: (at: number) => number, start: number): void {
    if (facts.length === 0) return
    const { count } = this.#init.began
    for (let at = 0; at < staged.length; at++) stampFact(facts, at * FACT_BYTES, { count, ms: times(start + at) })
  }

  /** The time of each entry of a step. Times never decrease within a sync, and are never in the future. */
  #timesOf ({ outcome: { agesMs, before }, begunMs }: SyncStep): (at: number) => number {
    const [nowMs, leastMs] = [this.now(), this.#init.began.ms]
    return at => begunMs !== undefined && (before[at] ?? STAYS_THERE) < WAS_KEPT
      ? begunMs
      : Math.max(leastMs, nowMs - Math.floor(agesMs[at] ?? 0))
  }

  #isNew (directory: RelativePath): boolean {
    return this.#init.isNew?.(directory) ?? !this.#former.has(directory)
  }

  /** Whether it is a link that the store cannot hold, so that it left although nothing was found there. */
  #isIndexOnly (old: FormerEntry | 'unknown' | undefined): boolean {
    return old !== undefined && old !== 'unknown' && old.cursor.kind === ENTRY_KINDS.symlink && this.#init.store.traits.holdsLinks === false
  }

  async #append (batch: HistoryBatch): Promise<void> {
    const { store, area, began } = this.#init
    const bytes = batch.finish()
    if (bytes !== undefined) await store.appendHistory(area, { count: began.count, bytes })
  }
}

/** Whether a section has only new files, as most sections do. */
function isAllNew ({ facts, staged }: Section, { before }: BatchOutcome, start: number): boolean {
  if (facts.length === 0) return false
  for (let at = 0; at < staged.length; at++) if (before[start + at] !== WAS_NOTHING) return false
  return true
}

/** Whether an entry has another kind, or is a link with another target. */
function isOtherEntry (left: ListingCursor, right: ListingCursor): boolean {
  if (left.kind !== right.kind) return true
  return left.kind === ENTRY_KINDS.symlink && compareBytes(left.targetBytes(), right.targetBytes()) !== 0
}

/** Whether mtime or mode differ. A link has no mode. */
function hasOtherMetadata (left: ListingCursor, right: ListingCursor): boolean {
  return left.mtimeNs() !== right.mtimeNs() || (left.kind !== ENTRY_KINDS.symlink && left.mode() !== right.mode())
}

/** A cursor at an entry with this name. */
function cursorOf (name: Name): ListingCursor {
  const cursor = new ListingCursor(encodeListing([{ kind: 'symlink', name, mtimeNs: 0n, target: 'unknown' }]))
  cursor.next()
  return cursor
}
