import type { SyncScope } from '@filesync/archive'
import { FileSyncError } from '@filesync/protocol'
import type { ClientFilesInfo } from '@filesync/protocol'

/** What a sync of this tree may change: the client's folders. Throws MESSAGE_INVALID if a folder is named twice. */
export function scopeOf ({ folders, away, removed }: ClientFilesInfo): SyncScope {
  const scope = { folders: new Map(folders.map(folder => [folder.name, folder])), away, removed: new Set(removed) }
  if (scope.folders.size < folders.length || removed.some(name => scope.folders.has(name))) {
    throw new FileSyncError('MESSAGE_INVALID', 'Invalid CLIENT_FILES_INFO: a folder is named twice.')
  }
  return scope
}

/** Whether the client listed all of its folders completely. */
export function isComplete ({ folders }: ClientFilesInfo): boolean {
  return folders.every(({ complete }) => complete)
}
