import { equalDigests, splitPath } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { RestoredFile, RestoreFailure, RestoreOutcome, RestoreRequest } from '../store/content-store.ts'
import { ALL_TIMES } from '../store/file-time.ts'
import { isRestored, PATH_TAKEN } from '../store/restored.ts'
import { filesOf } from '../store/restored-section.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'

/** Where files are restored from. */
export interface MemorySource {
  readonly find: (file: RestoredFile) => MemoryNode | undefined
  readonly hash: HashBytes
}

/** Restores files into a directory. */
export function restoreInto (
  out: MemoryFolder, { sections = [], files: single, directories, overwrite }: Omit<RestoreRequest, 'to'>, source: MemorySource,
): RestoreOutcome {
  const files = [...sections.flatMap(section => [...filesOf(section)]), ...single]
  for (const { directory } of directories) out.below(directory, 'make')
  const failures: RestoreFailure[] = []
  let bytes = 0
  for (const file of files) {
    const { path } = file
    const node = wantedNode(file, source)
    const { directory, name } = splitPath(path)
    const there = overwrite === true ? undefined : out.below(directory)?.get(name)
    if (typeof node === 'string') {
      const message = node === 'other' ? 'its content no longer matches its digest' : 'it is missing'
      failures.push({ path, message, ...(file.expected !== undefined && { mismatch: node }) })
    } else if (there === undefined) out.below(directory, 'make')?.put(name, node)
    else if (!isSame(node, there)) failures.push({ path, message: PATH_TAKEN })
    if (typeof node !== 'string' && node.kind === 'file' && failures.at(-1)?.path !== path) bytes += node.content.length
  }
  for (const { directory, mtimeNs, mode } of directories) Object.assign(out.below(directory) ?? {}, { mtimeNs, mode })
  return { files: files.length - failures.length, bytes, failures }
}

function wantedNode (file: RestoredFile, { find, hash }: MemorySource): MemoryNode | 'other' | 'absent' {
  const { expected } = file
  if (expected?.kind === 'symlink') return { kind: 'symlink', target: expected.target, mtimeNs: expected.mtimeNs, sinceMs: 0 }
  const node = find(file)
  if (expected === undefined) return node ?? 'absent'
  if (node?.kind !== 'file') return 'absent'
  return equalDigests(hash(node.content), expected.digest) ? { ...node, mtimeNs: expected.mtimeNs, mode: expected.mode } : 'other'
}

function isSame (node: MemoryNode, there: MemoryNode): boolean {
  if (node.kind === 'file' && there.kind === 'file') {
    return isRestored({ ...node, sizeBytes: node.content.length }, { ...there, sizeBytes: there.content.length }, ALL_TIMES)
  }
  return node.kind === 'symlink' && there.kind === 'symlink' && node.target === there.target
}
