import { equalDigests } from '@filesync/protocol'
import type { Digest, HashBytes, RelativePath } from '@filesync/protocol'
import type { Point } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import { openDamageAt } from '../store/damage.ts'
import { knownFiles } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { readEvents } from './events.ts'

/** The files by which two states differ. */
export type PointDifference = Pick<Point, 'added' | 'replaced' | 'removed' | 'bytes'>

export interface DifferenceSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'history'>
  readonly hash: HashBytes
}

/**
 * Compares the files of the index with those after an earlier sync. It reads the index of the whole area, so it is for syncs that follow
 * one which ended early; others count while they run.
 *
 * @param count the number of the earlier sync
 */
export async function differenceSince (
  source: DifferenceSource, count: number,
): Promise<PointDifference & { readonly hasChanged: boolean }> {
  const { area, index, store, hash } = source
  const logs = (await store.history(area)).filter(log => log.count > count)
  const { events } = readEvents(logs, [], { hash, isWanted: () => true })
  /** The digest of each file that changed and was there after the earlier sync. */
  const former = new Map<RelativePath, Digest>()
  const seen = new Set<RelativePath>()
  const staying = new Set<RelativePath>()
  for (const { path, kind, fact } of events) {
    if (kind !== 'released') staying.delete(path)
    if (seen.has(path)) continue
    seen.add(path)
    if (fact === undefined || fact.storedCount > count) continue
    former.set(path, fact.digest)
    if (kind === 'released') staying.add(path)
  }
  const difference = { added: 0, replaced: 0, removed: 0, bytes: 0 }
  let hasChanged = events.some(({ kind }) => kind !== 'released')
  for (const { directory, files } of index.directories(area)) {
    if (files === 0) continue
    for (const { path, entry, fact: known } of knownFiles(index, area, directory)) {
      const fact = isUnknown(entry) ? openDamageAt(index, area, path)?.fact : known
      if (fact === undefined) continue
      const old = former.get(path)
      former.delete(path)
      if (fact.storedCount <= count) continue
      hasChanged = true
      if (old !== undefined && equalDigests(old, fact.digest)) continue
      if (old === undefined) difference.added++
      else difference.replaced++
      difference.bytes += entry.sizeBytes
    }
  }
  // What left the index but stayed in the mirror is restored as before.
  difference.removed = [...former.keys()].filter(path => !staying.has(path)).length
  return { ...difference, hasChanged }
}
