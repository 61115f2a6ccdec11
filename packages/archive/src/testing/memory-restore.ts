import { splitPath } from '@filesync/protocol'
import type { RestoreOutcome, RestoreRequest } from '../content-store.ts'
import { isRestored, STAYS } from '../restored.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'

/** Brings files back into a folder. */
export function restoreInto (
  out: MemoryFolder, { files, directories, overwrite }: Omit<RestoreRequest, 'to'>, find: (file: RestoreRequest['files'][number]) => MemoryNode | undefined,
): RestoreOutcome {
  for (const { directory } of directories) out.below(directory, 'make')
  const failures: { path: string, message: string }[] = []
  let bytes = 0
  for (const file of files) {
    const { path } = file
    const node = find(file)
    const { directory, name } = splitPath(path)
    const there = overwrite === true ? undefined : out.below(directory)?.get(name)
    if (node === undefined) failures.push({ path, message: 'it is missing' })
    else if (there === undefined) out.below(directory, 'make')?.put(name, node)
    else if (!isSame(node, there)) failures.push({ path, message: STAYS })
    if (node?.kind === 'file' && failures.at(-1)?.path !== path) bytes += node.content.length
  }
  for (const { directory, mtimeNs, mode } of directories) Object.assign(out.below(directory) ?? {}, { mtimeNs, mode })
  return { files: files.length - failures.length, bytes, failures }
}

function isSame (node: MemoryNode, there: MemoryNode): boolean {
  if (node.kind === 'file' && there.kind === 'file') return isRestored({ ...node, sizeBytes: node.content.length }, { ...there, sizeBytes: there.content.length })
  return node.kind === 'symlink' && there.kind === 'symlink' && node.target === there.target
}
