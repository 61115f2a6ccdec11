import { ROOT_PATH } from '@filesync/protocol'
import type { RebuildProgress } from '../archive.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { rebuildIndex } from './rebuild.ts'
import type { Rebuild } from './rebuild.ts'
import { recover } from './recover.ts'

export interface PrepareAreaInit extends Rebuild {
  readonly onRebuild?: (progress: RebuildProgress) => void
}

/** Completes what a crash or a failed sync left unfinished, and rebuilds the index of an area that has content but no index. */
export async function prepareArea (init: PrepareAreaInit): Promise<void> {
  const { area, index, store, onRebuild } = init
  const isReadOnly = store.traits.isReadOnly === true
  if (!isReadOnly) await store.openArea(area)
  if (index.area(area) === undefined && (await store.list(area, ROOT_PATH)).length > 0) {
    onRebuild?.({ area, state: 'begun' })
    const rebuilt = await rebuildIndex(init)
    onRebuild?.({ area, state: 'done', ...rebuilt })
  }
  if (!isReadOnly) await recover(init)
}

/** Whether the index knows any of the area's content, or there is none. */
export async function isContentKnown ({ area, index, store }: Pick<Rebuild, 'area' | 'index' | 'store'>): Promise<boolean> {
  const listing = index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
  if (index.area(area) !== undefined && new ListingCursor(listing).count > 0) return true
  if (store.traits.isReadOnly !== true) await store.openArea(area)
  return (await store.list(area, ROOT_PATH)).length === 0
}
