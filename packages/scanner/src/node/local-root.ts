import { accessSync, constants, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { RootMark, SourceRoot } from '../source-root.ts'
import { faultText } from '../system-fault.ts'

/** A local directory as the source. Throws SOURCE_UNAVAILABLE if it does not exist. */
export function localRoot (root: string, ignoreFile: string | undefined): SourceRoot & { readonly path: string } {
  const path = realRoot(root)
  return {
    path,
    mark: () => markOf(path),
    extraRules () {
      if (ignoreFile === undefined) return undefined
      try {
        return { source: ignoreFile, text: readFileSync(ignoreFile, 'utf8') }
      } catch (cause) {
        throw new FileSyncError('USAGE', `The ignore file ${ignoreFile} cannot be read (${faultText(cause)}).`, { cause })
      }
    },
    isDirectory: (at: RelativePath) => lstatSync(join(path, at), { throwIfNoEntry: false })?.isDirectory(),
  }
}

function realRoot (root: string): string {
  try {
    return realpathSync(resolve(root))
  } catch (cause) {
    throw unavailable(root, `it cannot be found (${faultText(cause)})`, cause)
  }
}

function markOf (path: string): RootMark {
  try {
    const stat = lstatSync(path, { bigint: true })
    if (!stat.isDirectory()) throw unavailable(path, 'it is not a directory', undefined)
    accessSync(path, constants.R_OK | constants.X_OK)
    return { device: String(stat.dev), inode: String(stat.ino), birthtimeNs: String(stat.birthtimeNs) }
  } catch (cause) {
    if (cause instanceof FileSyncError) throw cause
    throw unavailable(path, faultText(cause), cause)
  }
}

function unavailable (path: string, why: string, cause: unknown): FileSyncError {
  const detail = cause === undefined ? {} : { cause }
  return new FileSyncError('SOURCE_UNAVAILABLE', `The directory ${path} cannot be pushed: ${why}. ` +
    'Name an existing directory that you may read.', detail)
}
