import { compareNames, foldKey, pathDepth, readListing } from '@filesync/protocol'
import type { Clock, Entry, FileEntry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import { isNamed } from '../store/content-store.ts'
import type { FoundEntry, NamedEntry, StoreTraits } from '../store/content-store.ts'
import { damageWrites } from '../store/damage.ts'
import type { DamageKind } from '../store/damage.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { EMPTY_DIRECTORY, foldDirectory } from '../store/fold.ts'
import { staysInside } from '../store/names.ts'
import type { EntryFailure, Section } from '../store/section.ts'
import { isUnknown, unknownEntry, unknownFile, unknownSection } from '../store/unknown-entry.ts'

/** What was done to a directory of the mirror by others than the archive. */
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
  /** In an archive from which nothing leaves, files that the index has forgotten stay. */
  readonly deletions: 'mirror' | 'archive'
}

/** What the store found in a directory. */
export interface SeenEntries {
  readonly found: readonly FoundEntry[]
  /** The names that were looked for; all that there are unless told. */
  readonly names?: readonly string[]
}

/** Compares a directory as the store found it with the index, by kind, size and time. Pure but for reading the index. */
export function compareDirectory (check: MirrorCheck, directory: RelativePath, { found, names }: SeenEntries): DirectoryChanges {
  const { index, area, traits, deletions } = check
  const key = (name: string): string => traits.foldsNames ? foldKey(name) : name
  const byName = new Map(found.map(entry => [key(entry.name), entry]))
  const looked = names === undefined ? undefined : new Set(names)
  const [changed, removed]: [Name[], Name[]] = [[], []]
  for (const entry of readListing(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)) {
    if (looked?.has(entry.name) === false) continue
    const there = byName.get(key(entry.name))
    byName.delete(key(entry.name))
    if (isNotMade(directory, entry) || isUnknown(entry) || (there !== undefined && isSame(entry, there, traits.times))) continue
    if (there?.kind === 'file' && entry.kind === 'file') changed.push(entry.name)
    else removed.push(entry.name)
  }
  const added = [...byName.values()].filter(({ kind }) => kind !== 'special').filter(isNamed)
  return { changed, removed, added: deletions === 'archive' ? [] : added }
}

/**
 * Writes that make the next sync put right what was done by hand: what was changed or removed is asked for again, and what it
 * was is kept as damage; what was added moves to versions after a complete scan, and the brake sees it all. To be applied
 * while no sync runs.
 */
export function externalChangeWrites (check: MirrorCheck, directory: RelativePath, { changed, removed, added }: DirectoryChanges): IndexWrite[] {
  if (changed.length + removed.length + added.length === 0) return []
  const { index, area, hash, clock } = check
  const entries = [...added].sort((a, b) => compareNames(a.name, b.name)).map(entry => addedEntry(entry, hash))
  const old = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
  const { listing, facts } = foldDirectory(old, entries.length === 0 ? [] : [unknownSection(directory, entries)], new Set())
  const damaged = new Map<string, DamageKind>([...changed.map(name => [name, 'altered'] as const), ...removed.map(name => [name, 'missing'] as const)])
  return [
    { put: { area, directory }, stored: { listing, facts } },
    ...damageWrites({ index, area, nowMs: clock.nowMs() }, { directory, stored: { listing, facts }, found: damaged }),
    { area, record: { lastStampMs: 0, ...index.area(area), open: true } },
  ]
}

/** Sections that make the next sync ask again for files which were to stay and were altered by hand. */
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

function isNotMade (directory: RelativePath, entry: Entry): boolean {
  return entry.kind === 'symlink' && !staysInside(pathDepth(directory), entry.target)
}

function isSame (entry: Entry, there: FoundEntry, times: TimeRange | undefined): boolean {
  if (entry.kind !== there.kind) return false
  if (entry.kind === 'directory') return true
  if (entry.kind === 'symlink') return entry.target === there.target
  return entry.sizeBytes === there.sizeBytes && isTimeAsSet(entry.mtimeNs, there.mtimeNs, times)
}
