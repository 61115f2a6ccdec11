import { accessSync, constants, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { checkRelativePath, clampTimeNs, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { FoundDirectory, RootFacts, SourceRoot } from '../source-root.ts'
import { faultText, isSystemFault } from '../system-fault.ts'
import { hasStableInodes } from './inode-numbering.ts'
import { modeFromWindows } from './local-directory.ts'
import { mountTable } from './mount-table.ts'

const IS_WINDOWS = process.platform === 'win32'
const PERMISSIONS = 0o777

/** A local directory as the source. Throws SOURCE_UNAVAILABLE if it does not exist. */
export function localRoot (root: string, ignoreFile: string | undefined): SourceRoot & { readonly path: string } {
  const path = realRoot(root)
  return {
    path,
    look: () => lookAt(path),
    mounts: () => mountTable(path),
    extraRules () {
      if (ignoreFile === undefined) return undefined
      try {
        return { source: ignoreFile, text: readFileSync(ignoreFile, 'utf8') }
      } catch (cause) {
        throw new FileSyncError('USAGE', `The ignore file ${ignoreFile} cannot be read (${faultText(cause)}).`, { cause })
      }
    },
    isDirectory: (at: RelativePath) => lstatSync(join(path, at), { throwIfNoEntry: false })?.isDirectory(),
    find: other => find(path, resolve(path, other)),
  }
}

function realRoot (root: string): string {
  try {
    return realpathSync(resolve(root))
  } catch (cause) {
    throw unavailable(root, `it cannot be found (${faultText(cause)})`, cause)
  }
}

function lookAt (path: string): RootFacts {
  try {
    const stat = lstatSync(path, { bigint: true })
    if (!stat.isDirectory()) throw unavailable(path, 'it is not a directory', undefined)
    accessSync(path, constants.R_OK | constants.X_OK)
    const mode = Number(stat.mode)
    return {
      mark: { device: String(stat.dev), inode: String(stat.ino), birthtimeNs: String(stat.birthtimeNs) },
      isMountPoint: mountTable(path)?.has(ROOT_PATH),
      hasStableInodes: hasStableInodes(stat.dev, path) ?? true,
      state: { mtimeNs: clampTimeNs(stat.mtimeNs), mode: (IS_WINDOWS ? modeFromWindows(mode) : mode) & PERMISSIONS },
    }
  } catch (cause) {
    if (cause instanceof FileSyncError) throw cause
    throw unavailable(path, faultText(cause), cause)
  }
}

function find (root: string, path: string): FoundDirectory | undefined {
  try {
    const real = realpathSync(path)
    const { dev, ino } = statSync(real, { bigint: true })
    return { path: pathBelow(root, real), device: dev, inode: ino }
  } catch (error) {
    if (isSystemFault(error)) return undefined
    throw error
  }
}

/** Undefined if the path is not below the root. */
function pathBelow (root: string, path: string): RelativePath | undefined {
  const below = relative(root, path).split(sep).join('/')
  return isAbsolute(below) || checkRelativePath(below) !== undefined ? undefined : below as RelativePath
}

function unavailable (path: string, why: string, cause: unknown): FileSyncError {
  const detail = cause === undefined ? {} : { cause }
  return new FileSyncError('SOURCE_UNAVAILABLE', `The directory ${path} cannot be pushed: ${why}. ` +
    'Name an existing directory that you may read.', detail)
}
