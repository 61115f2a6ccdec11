import { ROOT_PATH, splitFolder } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import type { ExistingCopy } from '../store/existing-copy.ts'

/** A copy as the only folder of a tree: as the client pushes it. */
export function copyInFolder (copy: ExistingCopy, folder: Name): ExistingCopy {
  const { rootState } = copy
  const entry = { name: folder, kind: 'directory' as const, ...rootState, sizeBytes: 0, target: '', birthtimeMs: 0 }
  return {
    rootState,
    list: directory => directory === ROOT_PATH ? [entry] : copy.list(splitFolder(directory).path),
    pause: async () => { await copy.pause() },
    open: path => copy.open(splitFolder(path).path),
    close: () => { copy.close() },
  }
}
