import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  checkRelativePath, clampTimeNs, errnoOf, isProblemCode, isSymlinkTarget, PROBLEMS, ROOT_PATH, splitFolder, splitPath,
} from '@filesync/protocol'
import type { FileEntry, RelativePath } from '@filesync/protocol'

/** A local file or symbolic link, or the reason why there is nothing to check. */
export type LocalCopy =
  | { readonly kind: 'file', readonly path: RelativePath, readonly directory: RelativePath, readonly entry: FileEntry }
  | { readonly kind: 'symlink', readonly path: RelativePath, readonly target: string }
  | { readonly kind: 'unchecked', readonly path: string, readonly state: UncheckedState, readonly reason: string }

export type UncheckedState = 'missing' | 'unsettled' | 'unreadable' | 'uncarried' | 'empty'

export interface LocalTree {
  /** Absolute paths of the folders by their names. */
  readonly roots: ReadonlyMap<string, string>
  /** How long a file must be unchanged before it is checked. */
  readonly settleMs: number
  readonly nowMs: () => number
}

/**
 * Everything at a path and below it, whether it is pushed or not: ignored files would be lost with a deleted directory too.
 * Symbolic links are not followed.
 */
export function * localCopies (tree: LocalTree, path: string): Generator<LocalCopy, void, undefined> {
  const fault = path === ROOT_PATH ? undefined : checkRelativePath(path)
  if (fault !== undefined) {
    const why = isProblemCode(fault) ? PROBLEMS[fault] : 'its path cannot be stored'
    yield { kind: 'unchecked', path, state: 'uncarried', reason: `The server cannot store it: ${why}.` }
    return
  }
  const found = inspect(tree, path as RelativePath)
  if (found !== 'directory') {
    yield found
    return
  }
  let isEmpty = true
  for (const copy of below(tree, path)) {
    isEmpty = false
    yield copy
  }
  if (isEmpty) yield { kind: 'unchecked', path, state: 'empty', reason: 'It contains nothing that could be lost.' }
}

function * below (tree: LocalTree, directory: string): Generator<LocalCopy, void, undefined> {
  let names: string[]
  try {
    names = readdirSync(localPath(tree, directory)).sort()
  } catch (error) {
    yield unreadable(directory, error)
    return
  }
  for (const name of names) {
    for (const copy of localCopies(tree, directory === '' ? name : `${directory}/${name}`)) {
      if (copy.kind !== 'unchecked' || copy.state !== 'empty') yield copy
    }
  }
}

function inspect (tree: LocalTree, path: RelativePath): LocalCopy | 'directory' {
  const { settleMs, nowMs } = tree
  try {
    // A folder itself may be a link that the user named.
    const stat = (path.includes('/') ? lstatSync : statSync)(localPath(tree, path), { bigint: true })
    if (stat.isDirectory()) return 'directory'
    if (stat.isSymbolicLink()) return linkAt(tree, path)
    if (!stat.isFile()) return { kind: 'unchecked', path, state: 'uncarried', reason: `It is not stored: ${PROBLEMS.SPECIAL_FILE}.` }
    const quietMs = nowMs() - Number(stat.mtimeMs > BigInt(Math.ceil(nowMs())) ? stat.ctimeMs : stat.mtimeMs)
    if (quietMs >= 0 && quietMs < settleMs) {
      return { kind: 'unchecked', path, state: 'unsettled', reason: `It was not checked: ${PROBLEMS.UNSETTLED}.` }
    }
    const { directory, name } = splitPath(path)
    const entry: FileEntry = {
      kind: 'file',
      name,
      sizeBytes: Number(stat.size),
      mtimeNs: clampTimeNs(stat.mtimeNs),
      mode: Number(stat.mode) & 0o777,
      fileId: 0n,
    }
    return { kind: 'file', path, directory, entry }
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) return unreadable(path, error)
    return { kind: 'unchecked', path, state: 'missing', reason: 'It does not exist here, so there is nothing to compare.' }
  }
}

function linkAt (tree: LocalTree, path: RelativePath): LocalCopy {
  const bytes = readlinkSync(localPath(tree, path), { encoding: 'buffer' })
  const target = bytes.toString('utf8')
  if (Buffer.from(target).equals(bytes) && isSymlinkTarget(target)) return { kind: 'symlink', path, target }
  return { kind: 'unchecked', path, state: 'uncarried', reason: 'It is not stored: its link target is too long or not valid UTF-8.' }
}

/** The local path of what has a path in the archive. */
function localPath ({ roots }: LocalTree, path: string): string {
  const { folder, path: inside } = splitFolder(path as RelativePath)
  return join(roots.get(folder) ?? folder, inside)
}

function unreadable (path: string, error: unknown): LocalCopy {
  return { kind: 'unchecked', path, state: 'unreadable', reason: `It cannot be read (${errnoOf(error) || String(error)}).` }
}
