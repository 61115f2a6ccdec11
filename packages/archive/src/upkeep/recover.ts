import { joinPath, PageTree, pathDepth, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, RelativePath } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ContentStore, DirectoryState } from '../store/content-store.ts'
import { repairedWrites } from '../store/damage.ts'
import { changeDirectory } from '../store/change-directory.ts'
import type { ChangeSite } from '../store/change-directory.ts'
import { EMPTY_DIRECTORY, patchDigests } from '../store/fold.ts'
import { inSteps } from '../store/index-steps.ts'
import { listingsIn, rewriteDirectory } from '../store/rewrite-pages.ts'
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
  // The history of the old state must be durable before the index forgets that state.
  await store.makeDurable()
  for (const writes of inSteps(index, foldAll(recovery, sections, removed))) await index.write(writes)
  for (const writes of inSteps(index, digestWrites(recovery))) await index.write(writes)
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

function * foldAll (
  site: Recovery, sections: ReadonlyMap<RelativePath, readonly Section[]>, removed: ReadonlyMap<RelativePath, ReadonlySet<string>>,
): Generator<readonly IndexWrite[], void, undefined> {
  for (const directory of new Set([...sections.keys(), ...removed.keys()])) {
    yield * changeDirectory(site, { directory, sections: sections.get(directory) ?? [], removed: removed.get(directory) ?? new Set() })
  }
}

/**
 * Writes, to be applied in order, that correct the digest of each directory in its parent's listing, and drop directories that no listing
 * names.
 */
function * digestWrites (recovery: ChangeSite): Generator<readonly IndexWrite[], void, undefined> {
  const { area, index, hash } = recovery
  const directories = [...index.directories(area)].map(({ directory }) => directory)
  const deepestFirst = directories.sort((a, b) => pathDepth(b) - pathDepth(a))
  const digests = new Map<RelativePath, Digest>()
  const named = new Set<RelativePath>([ROOT_PATH])
  const empty = hash(EMPTY_DIRECTORY.listing)
  for (const directory of deepestFirst) {
    const pages: Digest[] = []
    yield * rewriteDirectory(index, { area, directory }, page => {
      const listing = patchDigests(page.listing, name => {
        const child = joinPath(directory, name)
        named.add(child)
        return digests.get(child) ?? empty
      })
      pages.push(hash(listing))
      return listing === page.listing ? page : { listing, facts: page.facts }
    })
    digests.set(directory, joinedDigest(recovery, directory, pages))
  }
  const orphans = deepestFirst.filter(directory => !named.has(directory))
  yield orphans.map(directory => ({ drop: { area, directory }, recursive: true }))
}

/** The digest of a directory whose pages have other digests by now. */
function joinedDigest ({ area, index, hash }: ChangeSite, directory: RelativePath, pages: readonly Digest[]): Digest {
  const [only] = pages
  if (only !== undefined && pages.length === 1) return only
  const { leaves = [] } = index.pages({ area, directory }) ?? {}
  return new PageTree(leaves.map((leaf, at) => ({ ...leaf, digest: pages[at] ?? leaf.digest })), hash).digest
}

/**
 * Mtimes and modes of all directories, from the index. Directories that were made or changed before the crash may already be in the
 * index, and so no longer in the journal, without having got theirs.
 */
function statesOf (index: ArchiveIndex, area: string): DirectoryState[] {
  const states: DirectoryState[] = []
  for (const { directory } of index.directories(area)) {
    for (const listing of listingsIn(index, { area, directory })) {
      for (const entry of directoriesOf(listing)) {
        const { name, mtimeNs, mode } = entry
        // Of a directory that was made by hand no mtime is known.
        if (!isUnknown(entry)) states.push({ directory: joinPath(directory, name), mtimeNs, mode })
      }
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
