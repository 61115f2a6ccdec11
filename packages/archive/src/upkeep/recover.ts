import { joinPath, pathDepth, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, RelativePath } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ContentStore, DirectoryState } from '../store/content-store.ts'
import { repairedWrites } from '../store/damage.ts'
import { EMPTY_DIRECTORY, foldDirectory, patchDigests } from '../store/fold.ts'
import { ChangeHistory } from '../history/change-history.ts'
import { parsePoints } from '../history/point-log.ts'
import { directoriesOf } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { entryPath, isContent, NOT_STAGED, withoutFailures } from '../store/section.ts'
import type { Section } from '../store/section.ts'

export interface Recovery {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Pick<Clock, 'nowMs'>
}

/**
 * Completes a sync that did not end: places everything in the journal, writes the listings, and makes the digests of directories
 * consistent again. It can be repeated if it is interrupted.
 */
export async function recover (recovery: Recovery): Promise<void> {
  const { area, index, store } = recovery
  const record = index.area(area)
  if (record?.open !== true) {
    if (record?.staging !== undefined) await store.discard(record.staging)
    return
  }
  const journal = index.journal(area)
  const sections = new Map<RelativePath, Section[]>()
  const removed = new Map<RelativePath, Set<string>>()
  // What is there now is unknown. The next sync must ask for it, even if the client has the former content again.
  const forgetContent = (section: Section | undefined, entry: number): void => {
    if (section === undefined || !isContent(section.staged[entry] ?? NOT_STAGED)) return
    const { name } = splitPath(entryPath(section, entry))
    removed.set(section.directory, (removed.get(section.directory) ?? new Set()).add(name))
  }
  for (const { number, batch } of journal) {
    const history = new ChangeHistory({ ...recovery, began: { count: batch.count, ms: batch.stampMs } })
    const { begunMs } = batch
    if (batch.areRemoved !== true) {
      const outcome = await store.remove(area, batch)
      await history.recordRemoved(batch.removals, { number, outcome, begunMs })
    }
    for (const { directory, names } of batch.removals) {
      const gone = removed.get(directory) ?? new Set()
      removed.set(directory, gone)
      for (const name of names) gone.add(name)
    }
    // A batch is journaled only after the one before it was placed and flushed.
    const outcome = await store.place(area, batch, number === journal.at(-1)?.number ? 'unflushed' : 'again')
    await history.recordPlaced(batch.sections, { number, outcome, begunMs })
    for (const failure of outcome.failures) forgetContent(batch.sections[failure.section], failure.entry)
    for (const section of withoutFailures(batch.sections, outcome.failures)) {
      sections.set(section.directory, [...sections.get(section.directory) ?? [], section])
    }
  }
  const touched = new Set([...sections.keys(), ...removed.keys()])
  const writes: IndexWrite[] = []
  for (const directory of touched) {
    const old = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
    const folded = foldDirectory(old, sections.get(directory) ?? [], removed.get(directory) ?? new Set())
    for (const name of folded.lostDirectories) writes.push({ drop: { area, directory: joinPath(directory, name) }, recursive: true })
    writes.push({ put: { area, directory }, stored: { listing: folded.listing, facts: folded.facts } })
  }
  // The history of the old state must be durable before the index forgets that state.
  await store.makeDurable()
  await index.write(writes)
  await index.write(digestWrites(recovery))
  await index.write(repairedWrites(index, area, record.lastStampMs))
  await store.applyDirectoryStates(area, statesOf(index, area))
  await store.makeDurable()
  if (record.staging !== undefined) {
    await store.reclaim(area, record.staging)
    await store.discard(record.staging)
  }
  await index.write([
    ...journal.map(({ number }): IndexWrite => ({ area, journal: number, batch: undefined })),
    { area, record: await settled(recovery, withoutStaging(record)) },
  ])
}

/** Writes that correct the digest of each directory in its parent's listing, and drop directories that no listing names. */
function digestWrites ({ area, index, hash }: Omit<Recovery, 'store' | 'clock'>): IndexWrite[] {
  const directories = [...index.directories(area)].map(({ directory }) => directory)
  const deepestFirst = directories.sort((a, b) => pathDepth(b) - pathDepth(a))
  const digests = new Map<RelativePath, Digest>()
  const named = new Set<RelativePath>([ROOT_PATH])
  const empty = hash(EMPTY_DIRECTORY.listing)
  const writes: IndexWrite[] = []
  for (const directory of deepestFirst) {
    const stored = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
    const listing = patchDigests(stored.listing, name => {
      const child = joinPath(directory, name)
      named.add(child)
      return digests.get(child) ?? empty
    })
    digests.set(directory, hash(listing))
    if (listing !== stored.listing) writes.push({ put: { area, directory }, stored: { listing, facts: stored.facts } })
  }
  const orphans = deepestFirst.filter(directory => !named.has(directory))
  return [...writes, ...orphans.map((directory): IndexWrite => ({ drop: { area, directory }, recursive: true }))]
}

/**
 * Mtimes and modes of all directories, from the index. Directories that were made or changed before the crash may already be in the
 * index, and so no longer in the journal, without having got theirs.
 */
function statesOf (index: ArchiveIndex, area: string): DirectoryState[] {
  const states: DirectoryState[] = []
  for (const { directory } of index.directories(area)) {
    for (const entry of directoriesOf(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)) {
      const { name, mtimeNs, mode } = entry
      // Of a directory that was made by hand no mtime is known.
      if (!isUnknown(entry)) states.push({ directory: joinPath(directory, name), mtimeNs, mode })
    }
  }
  return states
}

/** If the sync had recorded its point, it was complete: only its last write of the index is missing. */
async function settled ({ area, store, hash }: Recovery, record: AreaRecord): Promise<AreaRecord> {
  const { history } = record
  if (history === undefined) return record
  const last = parsePoints(await store.points(area), hash).at(-1)
  return { ...record, history: { ...history, settledCount: Math.max(history.settledCount, last?.count ?? 0) } }
}

/** The record of a recovered area; the state of the brake is kept. */
function withoutStaging ({ staging: _staging, ...record }: AreaRecord): AreaRecord {
  return { ...record, open: false }
}
