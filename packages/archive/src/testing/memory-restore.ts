import { splitPath } from '@filesync/protocol'
import type { RestoreOutcome, RestoreRequest } from '../content-store.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'

/** Brings files back into a folder. */
export function restoreInto (
  out: MemoryFolder, { files, directories }: Pick<RestoreRequest, 'files' | 'directories'>, find: (file: RestoreRequest['files'][number]) => MemoryNode | undefined,
): RestoreOutcome {
  for (const { directory } of directories) out.below(directory, 'make')
  const failures: { path: string, message: string }[] = []
  let bytes = 0
  for (const file of files) {
    const { path } = file
    const node = find(file)
    const { directory, name } = splitPath(path)
    if (node === undefined) failures.push({ path, message: 'it is missing' })
    else out.below(directory, 'make')?.put(name, node)
    if (node?.kind === 'file') bytes += node.content.length
  }
  for (const { directory, mtimeNs, mode } of directories) Object.assign(out.below(directory) ?? {}, { mtimeNs, mode })
  return { files: files.length - failures.length, bytes, failures }
}
