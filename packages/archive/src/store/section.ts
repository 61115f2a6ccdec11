import { joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import { entryOffsets, ListingBuilder, ListingCursor } from './listing-cursor.ts'

/** In `Section.staged`: the entry has no content in staging. A directory, a link, or a file that keeps its content and mtime. */
export const NOT_STAGED = 0xffff_ffff
/** In `Section.staged`: the entry is recorded in the index but not created in the store, which cannot hold symbolic links. */
export const INDEX_ONLY = 0xffff_fffe
/** In `Section.staged`: a file whose content was just found to be the same by its digest, and which gets another mtime. */
export const SAME_CONTENT = 0xffff_fffd

/** Whether a value of `Section.staged` is the number of content in staging. */
export function isContent (staged: number): boolean {
  return staged < SAME_CONTENT
}

/** How many entries of a section answer a task. */
export function countAnswers (section: Section): number {
  return section.staged.reduce((count, staged) => count + Number(staged <= SAME_CONTENT), 0)
}

/** The path of an entry of a section. */
export function entryPath (section: Section, entry: number): RelativePath {
  const cursor = new ListingCursor(section.entries)
  while (cursor.index < entry && cursor.next());
  return joinPath(section.directory, cursor.name())
}

/** As {@link entryPath}; the root path if the section is undefined. */
export function entryPathOf (section: Section | undefined, entry: number): RelativePath {
  return section === undefined ? ROOT_PATH : entryPath(section, entry)
}

/** The path of a removed name; the root path if there is none. */
export function removedPath (removal: Removal | undefined, entry: number): RelativePath {
  const name = removal?.names[entry]
  return removal === undefined || name === undefined ? ROOT_PATH : joinPath(removal.directory, name)
}

/** Some entries of one directory that are journaled, placed and folded together. */
export interface Section {
  readonly directory: RelativePath
  /** The entries, encoded as a listing. */
  readonly entries: Uint8Array
  /** For each entry the number of its content in staging, {@link NOT_STAGED}, {@link INDEX_ONLY}, or {@link SAME_CONTENT}. */
  readonly staged: Uint32Array
  /** For each entry its facts; empty if no entry has content in staging. */
  readonly facts: Uint8Array
  /** If set, its contents are in this subfolder of staging, under their final names. */
  readonly folder?: number
}

/** A section whose contents are in staging, with their total size. */
export interface StagedSection {
  readonly section: Section
  readonly bytes: number
}

/** Names to remove from a directory. */
export interface Removal {
  readonly directory: RelativePath
  readonly names: readonly Name[]
}

/** Entries that are placed or removed as one step of a sync. */
export interface Batch {
  /** Folder in staging with the contents. */
  readonly staging: string
  /** Number and time of the sync; they name the folder in versions that receives what is replaced or removed. */
  readonly count: number
  readonly stampMs: number
  /** When the batch was begun, milliseconds since the Unix epoch. */
  readonly begunMs: number
  readonly sections: readonly Section[]
  readonly removals: readonly Removal[]
  /** The metadata to set is that which is recorded for all names of each file, so that it need not be separated from them. */
  readonly isRecorded?: true
  /** The removals are complete and durable, as far as they could be done: what is at these names now came later. */
  readonly areRemoved?: true
  /** Subfolders of staging that contain the contents of these sections and nothing else. */
  readonly wholeFolders?: readonly number[]
}

/** The names to move to versions, and the folder that receives them. */
export type RemovalBatch = Pick<Batch, 'count' | 'stampMs' | 'removals'>

/** In {@link BatchOutcome.before}: what was there was kept, or could not be changed. */
export const STAYS_THERE = 0
/** In {@link BatchOutcome.before}: nothing was there. */
export const WAS_NOTHING = 1
/** In {@link BatchOutcome.before}, this or more: what was there is a version now; the excess is the number of the sync's folder. */
export const WAS_KEPT = 2

/** The outcome for each entry of a batch, or for each name that it removes, numbered through all sections or removals. */
export interface BatchOutcome {
  readonly failures: EntryFailure[]
  /** For each, what was there before. */
  readonly before: Uint16Array
  /** For each, how long before the end of the call it was changed, milliseconds. */
  readonly agesMs: Float64Array
}

/** An entry that could not be placed or removed. */
export interface EntryFailure {
  /** Position of the section in the request. */
  readonly section: number
  /** Position of the entry in the section. */
  readonly entry: number
  readonly message: string
  /** The content that was to be kept is gone: it was changed or removed by hand. */
  readonly isAltered?: boolean
}

/** The failure of an entry whose content was changed or removed by hand. */
export const ALTERED: Pick<EntryFailure, 'message' | 'isAltered'> = {
  message: 'it was changed or removed in the archive by hand; the next sync sends it again',
  isAltered: true,
}

/** A section without some of its entries. */
export function withoutEntries (section: Section, failed: ReadonlySet<number>): Section {
  const offsets = entryOffsets(section.entries)
  const kept = Array.from({ length: section.staged.length }, (_, i) => i).filter(i => !failed.has(i))
  const entries = new ListingBuilder()
  for (const i of kept) entries.add(section.entries.subarray(offsets[i], offsets[i + 1]))
  const facts = new Uint8Array(section.facts.length === 0 ? 0 : kept.length * FACT_BYTES)
  if (facts.length > 0) {
    kept.forEach((i, at) => { facts.set(section.facts.subarray(i * FACT_BYTES, (i + 1) * FACT_BYTES), at * FACT_BYTES) })
  }
  return { ...section, entries: entries.finish(), staged: Uint32Array.from(kept, i => section.staged[i] ?? NOT_STAGED), facts }
}

/** Sections without the entries that failed; sections left empty are dropped. */
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
