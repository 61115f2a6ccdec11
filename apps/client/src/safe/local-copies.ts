import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { checkRelativePath, clampTimeNs, errnoOf, isProblemCode, isSymlinkTarget, PROBLEMS, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { FileEntry, RelativePath } from '@filesync/protocol'

/** A file or link as it stands here, or why nothing can be asked about it. */
export type LocalCopy =
  | { readonly kind: 'file', readonly path: RelativePath, readonly directory: RelativePath, readonly entry: FileEntry }
  | { readonly kind: 'symlink', readonly path: RelativePath, readonly target: string }
  | { readonly kind: 'unasked', readonly path: string, readonly state: UnaskedState, readonly reason: string }

export type UnaskedState = 'missing' | 'unsettled' | 'unreadable' | 'uncarried' | 'empty'

export interface LocalTree {
  /** The directory that is pushed. */
  readonly root: string
  /** How long a file has to be quiet before it is asked about. */
  readonly settleMs: number
  readonly nowMs: () => number
}

/**
 * What stands at a path and below it, whether it is pushed or not: what is ignored would be lost with a deleted directory, too.
 * No symbolic link is followed.
 */
export function * localCopies (tree: LocalTree, path: string): Generator<LocalCopy, void, undefined> {
  const fault = path === ROOT_PATH ? undefined : checkRelativePath(path)
  if (fault !== undefined) {
    const why = isProblemCode(fault) ? PROBLEMS[fault] : 'it is a path that cannot be stored'
    yield { kind: 'unasked', path, state: 'uncarried', reason: `The server cannot hold it: ${why}.` }
    return
  }
  const found = look(tree, path as RelativePath)
  if (found !== 'directory') {
    yield found
    return
  }
  let isEmpty = true
  for (const copy of below(tree, path)) {
    isEmpty = false
    yield copy
  }
  if (isEmpty) yield { kind: 'unasked', path, state: 'empty', reason: 'There is nothing in it that could be lost.' }
}

function * below (tree: LocalTree, directory: string): Generator<LocalCopy, void, undefined> {
  let names: string[]
  try {
    names = readdirSync(join(tree.root, directory)).sort()
  } catch (error) {
    yield unreadable(directory, error)
    return
  }
  for (const name of names) {
    for (const copy of localCopies(tree, directory === '' ? name : `${directory}/${name}`)) {
      if (copy.kind !== 'unasked' || copy.state !== 'empty') yield copy
    }
  }
}

function look ({ root, settleMs, nowMs }: LocalTree, path: RelativePath): LocalCopy | 'directory' {
  try {
    const stat = lstatSync(join(root, path), { bigint: true })
    if (stat.isDirectory()) return 'directory'
    if (stat.isSymbolicLink()) return linkAt(root, path)
    if (!stat.isFile()) return { kind: 'unasked', path, state: 'uncarried', reason: `It is not stored: ${PROBLEMS.SPECIAL_FILE}.` }
    const quietMs = nowMs() - Number(stat.mtimeMs > BigInt(Math.ceil(nowMs())) ? stat.ctimeMs : stat.mtimeMs)
    if (quietMs >= 0 && quietMs < settleMs) return { kind: 'unasked', path, state: 'unsettled', reason: `It may still be written: ${PROBLEMS.UNSETTLED}.` }
    const { directory, name } = splitPath(path)
    const entry: FileEntry = { kind: 'file', name, sizeBytes: Number(stat.size), mtimeNs: clampTimeNs(stat.mtimeNs), mode: Number(stat.mode) & 0o777, fileId: 0n }
    return { kind: 'file', path, directory, entry }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) return { kind: 'unasked', path, state: 'missing', reason: 'It is not here, so there is nothing to compare.' }
    return unreadable(path, error)
  }
}

function linkAt (root: string, path: RelativePath): LocalCopy {
  const bytes = readlinkSync(join(root, path), { encoding: 'buffer' })
  const target = bytes.toString('utf8')
  if (Buffer.from(target).equals(bytes) && isSymlinkTarget(target)) return { kind: 'symlink', path, target }
  return { kind: 'unasked', path, state: 'uncarried', reason: 'It is not stored: it is a link to something whose name is not valid UTF-8.' }
}

function unreadable (path: string, error: unknown): LocalCopy {
  return { kind: 'unasked', path, state: 'unreadable', reason: `It cannot be read here (${errnoOf(error) || String(error)}).` }
}
