import { compareNames, foldKey, readListing } from '@filesync/protocol'
import type { Clock, Entry, FileEntry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import { isNamed } from '../store/content-store.ts'
import type { FoundEntry, NamedEntry, StoreTraits } from '../store/content-store.ts'
import { damageWrites } from '../store/damage.ts'
import type { DamageKind } from '../store/damage.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { EMPTY_DIRECTORY, foldDirectory } from '../store/fold.ts'
import { isIndexOnly } from '../store/names.ts'
import type { EntryFailure, Section } from '../store/section.ts'
import { isUnknown, unknownEntry, unknownFile, unknownSection } from '../store/unknown-entry.ts'

/** Changes that others than the archive made in a directory of the mirror. */
export interface DirectoryChanges {
  readonly changed: readonly Name[]
  readonly removed: readonly Name[]
  readonly added: readonly NamedEntry[]
}

export interface MirrorCheck {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
  readonly traits: StoreTraits
  readonly clock: Clock
  /** With `archive`, files that the index does not know are no changes: the client removed them and they are kept. */
  readonly deletions: 'mirror' | 'archive'
}

/** Entries that the store found in a directory. */
export interface SeenEntries {
  readonly found: readonly FoundEntry[]
  /** The names that were looked up, all in one page of the directory; by default the whole directory was listed. */
  readonly names?: readonly Name[]
}

/** Compares the found entries of a directory with the index, by kind, size and mtime. Changes nothing. */
export function compareDirectory (check: MirrorCheck, directory: RelativePath, { found, names }: SeenEntries): DirectoryChanges {
  const { index, area, traits, deletions } = check
  const key = (name: string): string => traits.foldsNames ? foldKey(name) : name
  const byName = new Map(found.map(entry => [key(entry.name), entry]))
  const lookedUp = names && new Set(names)
  const [changed, removed]: [Name[], Name[]] = [[], []]
  const [first] = names ?? []
  const listing = first === undefined ? index.listing({ area, directory }) : index.page({ area, directory }, first)?.listing
  for (const entry of readListing(listing ?? EMPTY_DIRECTORY.listing)) {
    if (lookedUp?.has(entry.name) === false) continue
    const there = byName.get(key(entry.name))
    byName.delete(key(entry.name))
    if (isIndexOnly(entry, traits) || isUnknown(entry)) continue
    if (there !== undefined && isSame(entry, there, traits.times)) continue
    if (there?.kind === 'file' && entry.kind === 'file') changed.push(entry.name)
    else removed.push(entry.name)
  }
  const added = [...byName.values()].filter(({ kind }) => kind !== 'special').filter(isNamed)
  return { changed, removed, added: deletions === 'archive' ? [] : added }
}

/**
 * Writes that make the next sync repair external changes. What was changed or removed is recorded as damage and asked for again. What
 * was added moves to versions after a complete scan. The brake counts all of it. Apply the writes only while no sync runs.
 */
export function externalChangeWrites (
  check: MirrorCheck, directory: RelativePath, { changed, removed, added }: DirectoryChanges,
): IndexWrite[] {
  if (changed.length + removed.length + added.length === 0) return []
  const { index, area, hash, clock } = check
  const entries = [...added].sort((a, b) => compareNames(a.name, b.name)).map(entry => addedEntry(entry, hash))
  const old = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
  const { listing, facts } = foldDirectory(old, entries.length === 0 ? [] : [unknownSection(directory, entries)], new Set())
  const damaged = new Map<string, DamageKind>([
    ...changed.map(name => [name, 'altered'] as const),
    ...removed.map(name => [name, 'missing'] as const),
  ])
  return [
    { put: { area, directory }, stored: { listing, facts } },
    ...damageWrites({ index, area, nowMs: clock.nowMs() }, { directory, stored: { listing, facts }, found: damaged }),
    { area, record: { lastStampMs: 0, ...index.area(area), open: true } },
  ]
}

/** Sections that make the next sync ask for files which were to be kept but were altered by hand. */
export function alteredSections (sections: readonly Section[], failures: readonly EntryFailure[]): Section[] {
  const altered = new Map<Section, Set<number>>()
  for (const { section, entry, isAltered } of failures) {
    const at = sections[section]
    if (isAltered === true && at !== undefined) altered.set(at, (altered.get(at) ?? new Set()).add(entry))
  }
  return [...altered].map(([{ directory, entries }, places]) => {
    const files = [...readListing(entries)].filter((entry, place): entry is FileEntry => places.has(place) && entry.kind === 'file')
    return unknownSection(directory, files.map(({ kind, name, sizeBytes }) => unknownFile({ kind, name, sizeBytes })))
  })
}

function addedEntry ({ name, kind, sizeBytes, target }: NamedEntry, hash: HashBytes): Entry {
  if (kind === 'directory') return unknownEntry({ kind, name, digest: hash(EMPTY_DIRECTORY.listing) })
  if (kind === 'symlink') return unknownEntry({ kind, name, target })
  return unknownFile({ kind: 'file', name, sizeBytes })
}

function isSame (entry: Entry, there: FoundEntry, times: TimeRange | undefined): boolean {
  if (entry.kind !== there.kind) return false
  if (entry.kind === 'directory') return true
  if (entry.kind === 'symlink') return entry.target === there.target
  return entry.sizeBytes === there.sizeBytes && isTimeAsSet(entry.mtimeNs, there.mtimeNs, times)
}
