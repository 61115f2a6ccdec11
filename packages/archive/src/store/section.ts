import { joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import { entryOffsets, ListingBuilder, ListingCursor } from './listing-cursor.ts'

/** An entry of a section that has no content in staging: a directory, a link, or a file that keeps its content and its time. */
export const NOT_STAGED = 0xffff_ffff
/** An entry that is noted in the index but not made in the store: a link that leads out of its area. */
export const INDEX_ONLY = 0xffff_fffe
/** A file that keeps its content, which was just found to be the same by its digest, under another time. */
export const SAME_CONTENT = 0xffff_fffd

/** Whether a number of a section stands for content in staging. */
export function isContent (staged: number): boolean {
  return staged < SAME_CONTENT
}

/** How many of its entries answer a task. */
export function countAnswers (section: Section): number {
  return section.staged.reduce((count, staged) => count + Number(staged <= SAME_CONTENT), 0)
}

/** The path of an entry of a section. */
export function entryPath (section: Section, entry: number): RelativePath {
  const cursor = new ListingCursor(section.entries)
  while (cursor.index < entry && cursor.next());
  return joinPath(section.directory, cursor.name())
}

/** As {@link entryPath}, of a section that may not be there. */
export function entryPathOf (section: Section | undefined, entry: number): RelativePath {
  return section === undefined ? ROOT_PATH : entryPath(section, entry)
}

/** The path of a name that leaves; '' where there is none. */
export function removedPath (removal: Removal | undefined, entry: number): RelativePath {
  const name = removal?.names[entry]
  return removal === undefined || name === undefined ? ROOT_PATH : joinPath(removal.directory, name)
}

/** Some entries of one directory that take their places together. The unit that is journalled, placed and folded. */
export interface Section {
  readonly directory: RelativePath
  /** The entries, as a listing of their own. */
  readonly entries: Uint8Array
  /** For each entry the number of its content in staging, {@link NOT_STAGED}, {@link INDEX_ONLY}, or {@link SAME_CONTENT}. */
  readonly staged: Uint32Array
  /** For each entry its facts; empty where no entry has content in staging. */
  readonly facts: Uint8Array
  /** Where set, its contents lie in this folder of staging under the names that they will have. */
  readonly folder?: number
}

/** A section whose contents are in staging, with the sum of their sizes. */
export interface StagedSection {
  readonly section: Section
  readonly bytes: number
}

/** Names that leave a directory. */
export interface Removal {
  readonly directory: RelativePath
  readonly names: readonly Name[]
}

/** What takes its place as one step of a sync. */
export interface Batch {
  /** Folder in staging that holds the contents. */
  readonly staging: string
  /** Number and time of the sync, which name the folder in versions that takes what is replaced or removed. */
  readonly count: number
  readonly stampMs: number
  /** When it was begun. */
  readonly begunMs: number
  readonly sections: readonly Section[]
  readonly removals: readonly Removal[]
  /** What was to go is gone, durably, as far as it could be moved: whatever stands at these names came later. */
  readonly areRemoved?: true
  /** Folders in staging that hold the contents of these sections and nothing else. */
  readonly wholeFolders?: readonly number[]
}

/** What is moved to versions, and to which of their folders. */
export type RemovalBatch = Pick<Batch, 'count' | 'stampMs' | 'removals'>

/** In {@link BatchOutcome.before}: what is there stays, or it could not be changed. */
export const STAYS_THERE = 0
/** In {@link BatchOutcome.before}: there was nothing. */
export const WAS_NOTHING = 1
/** In {@link BatchOutcome.before}, and above it: what was there is a version now; above it in another one of the sync's folders. */
export const WAS_KEPT = 2

/** What became of the entries of a batch, or of the names that it removes, counted through all of its sections or removals. */
export interface BatchOutcome {
  readonly failures: EntryFailure[]
  /** What was there before. */
  readonly before: Uint16Array
  /** How long ago each was changed when the call ended, milliseconds. */
  readonly agesMs: Float64Array
}

/** One entry that did not take its place. */
export interface EntryFailure {
  /** Place of the section in the request. */
  readonly section: number
  /** Place of the entry in the section. */
  readonly entry: number
  readonly message: string
  /** The content that was to stay is not there any more: somebody changed or removed it by hand. */
  readonly isAltered?: boolean
}

/** What is told of content that is not there any more. */
export const ALTERED: Pick<EntryFailure, 'message' | 'isAltered'> = { message: 'somebody changed or removed it in the archive; the next sync sends it again', isAltered: true }

/** The section without some of its entries. */
export function withoutEntries (section: Section, failed: ReadonlySet<number>): Section {
  const offsets = entryOffsets(section.entries)
  const kept = Array.from({ length: section.staged.length }, (_, i) => i).filter(i => !failed.has(i))
  const entries = new ListingBuilder()
  for (const i of kept) entries.add(section.entries.subarray(offsets[i], offsets[i + 1]))
  const facts = new Uint8Array(section.facts.length === 0 ? 0 : kept.length * FACT_BYTES)
  if (facts.length > 0) kept.forEach((i, at) => { facts.set(section.facts.subarray(i * FACT_BYTES, (i + 1) * FACT_BYTES), at * FACT_BYTES) })
  return { ...section, entries: entries.finish(), staged: Uint32Array.from(kept, i => section.staged[i] ?? NOT_STAGED), facts }
}

/** All sections without what failed; those that are left empty are dropped. */
export function withoutFailures (sections: readonly Section[], failures: readonly Pick<EntryFailure, 'section' | 'entry'>[]): Section[] {
  if (failures.length === 0) return [...sections]
  const bySection = new Map<number, Set<number>>()
  for (const { section, entry } of failures) {
    const failed = bySection.get(section) ?? new Set()
    bySection.set(section, failed.add(entry))
  }
  return sections
    .map((section, i) => { const failed = bySection.get(i); return failed === undefined ? section : withoutEntries(section, failed) })
    .filter(section => section.staged.length > 0)
}
