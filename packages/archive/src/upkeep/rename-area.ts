import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ContentStore } from '../store/content-store.ts'
import { recover } from './recover.ts'
import type { Recovery } from './recover.ts'

/**
 * Gives an area another name: its mirror, partials, versions and history, then everything in the index. No sync of either name may run.
 * It can be repeated if it is interrupted; `finishRenaming` does that when the archive is opened. Throws USAGE if the store has content
 * under the new name; nothing is changed then.
 */
export async function renameArea (recovery: Recovery, to: RelativePath): Promise<void> {
  const { area, index, store } = recovery
  const record = index.area(area)
  if (record === undefined) {
    // Either it never synced, or the index was lost, or all of this was done before.
    if (index.area(to) === undefined) await moveContent(store, area, to)
    return
  }
  if (index.area(to) !== undefined) throw taken(to)
  if (record.renamingTo === undefined) await recover(recovery)
  else if (record.renamingTo !== to) {
    throw new FileSyncError('USAGE', `${JSON.stringify(area)} is being renamed to ${JSON.stringify(record.renamingTo)}.`)
  }
  const recovered = index.area(area) ?? record
  await index.write([{ area, record: { ...recovered, renamingTo: to } }])
  try {
    await moveContent(store, area, to)
  } catch (error) {
    if (error instanceof FileSyncError && error.code === 'USAGE') await index.write([{ area, record: recovered }])
    throw error
  }
  await index.write([{ area, renamedTo: to }])
}

/** Completes a renaming that a crash interrupted. */
export async function finishRenaming (recovery: Recovery): Promise<void> {
  const to = recovery.index.area(recovery.area)?.renamingTo
  if (to !== undefined) await renameArea(recovery, to)
}

async function moveContent (store: ContentStore, from: string, to: RelativePath): Promise<void> {
  if (!await store.renameArea(from, to)) throw taken(to)
  await store.makeDurable()
}

function taken (to: string): FileSyncError {
  return new FileSyncError('USAGE', `The archive has, or keeps versions of, something called ${JSON.stringify(to)}. Choose another name.`)
}
