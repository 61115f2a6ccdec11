import { encodeListing, equalDigests, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import type { Sync } from '../sync-contract.ts'
import type { ArchiveIndex, AreaRecord } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'

export interface Retirement {
  readonly area: RelativePath
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  /** Begins a sync that removes what the client does not list, whatever the archive does otherwise. */
  readonly beginSync: () => Promise<Sync>
}

const NOTHING_STORED: AreaRecord = { open: false, lastStampMs: 0 }

/**
 * Moves all files of an area to versions, which expire from then on even if the archive keeps all others. It can be repeated. Resolves
 * to the number of files that were moved.
 */
export async function retireArea ({ area, index, hash, beginSync }: Retirement): Promise<number> {
  const nothing = encodeListing([])
  // It is the operator's wish, so the brake does not apply.
  const { halted: _halted, releasedFor: _releasedFor, ...record } = index.area(area) ?? NOTHING_STORED
  await index.write([{ area, record: { ...record, released: true } }])
  const sync = await beginSync()
  try {
    if (!equalDigests(sync.rootDigest, hash(nothing))) {
      const wanted = sync.compare({ directory: ROOT_PATH, bytes: nothing, number: 0 })[Symbol.iterator]()
      while (wanted.next().done !== true) { /* there is nothing below */ }
      sync.plan({ complete: true })
    }
    const { deleted } = await sync.finish()
    await index.write([{ area, record: { ...index.area(area) ?? NOTHING_STORED, retired: true } }])
    return deleted
  } catch (error) {
    await sync.abandon()
    throw error
  }
}

/**
 * Removes an area that has no entry in its mirror and no version any more. Resolves to whether that was so. It can be repeated if it is
 * interrupted.
 */
export async function dropArea ({ area, index, store }: Omit<Retirement, 'hash' | 'beginSync'>): Promise<boolean> {
  if ((await store.versions(area, ROOT_PATH)).length > 0) return false
  if (!await store.removeArea(area)) return false
  await store.makeDurable()
  await index.write([{ area, forgotten: true }])
  return true
}
