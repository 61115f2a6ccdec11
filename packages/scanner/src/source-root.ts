import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { faultText, isGone, isSystemFault } from './system-fault.ts'

/** What a directory to push is recognised by. Decimal numbers, as JSON has no others of that size. */
export interface RootMark {
  readonly device: string
  readonly inode: string
  readonly birthtimeNs: string
}

/** What the app keeps between runs, to notice that the directory is not the one it was. */
export interface ScanMemory {
  readonly root: RootMark
  /** Number of files at the last scan. */
  readonly files: number
}

/** The directory to push as a whole, as a port. */
export interface SourceRoot {
  /** Recognises the directory. Throws SOURCE_UNAVAILABLE where it is missing, something else, or not readable. */
  mark (): RootMark
  /** The text of the extra ignore file, undefined where none was named. Throws USAGE where it cannot be read. */
  extraRules (): { readonly source: string, readonly text: string } | undefined
  /** Whether a path is a directory now; undefined where nothing is there. */
  isDirectory (path: RelativePath): boolean | undefined
}

/**
 * Whether two marks are of the same directory. A device number alone proves nothing, for it may change with a boot; a
 * directory that lies on another device and is also another inode, or was made at another time, is another directory:
 * most often a disk that is not mounted.
 */
export function isSameRoot (before: RootMark, now: RootMark): boolean {
  return before.device === now.device || (before.inode === now.inode && before.birthtimeNs === now.birthtimeNs)
}

const IF_RIGHT = 'If this is right, start once more with --accept-source.'

/** Throws SOURCE_SUSPECT unless the directory is the one that is remembered. */
export function ensureSameRoot (memory: ScanMemory | undefined, now: RootMark): void {
  if (memory === undefined || isSameRoot(memory.root, now)) return
  throw new FileSyncError('SOURCE_SUSPECT', `The directory to push is on another disk than last time. Nothing was changed on the server. Check that the right disk is mounted. ${IF_RIGHT}`)
}

/** What is in the tree now; `hasLinks` is asked only where there is no file. */
export interface RootContent {
  readonly files: number
  readonly directories: number
  readonly hasLinks: () => boolean
}

/** Throws SOURCE_SUSPECT where all files have gone since the last scan, and no link is left either. */
export function ensureNotEmptied (memory: ScanMemory | undefined, { files, directories, hasLinks }: RootContent): void {
  if (memory === undefined || memory.files === 0 || files > 0 || hasLinks()) return
  const what = directories > 0 ? 'holds directories only' : 'is empty'
  throw new FileSyncError('SOURCE_SUSPECT', `The directory to push ${what}, though it had ${memory.files} files last time. ` +
    `Nothing was changed on the server. Check that its disk is mounted. ${IF_RIGHT}`)
}

/** The error for a directory that was there a moment ago; `cause` is what `mark` threw. */
export function vanishedRoot (cause: unknown): FileSyncError {
  const fault = cause instanceof FileSyncError ? cause.cause : cause
  if (isSystemFault(fault) && !isGone(fault)) {
    return new FileSyncError('SOURCE_SUSPECT', `The directory to push cannot be read any more (${faultText(fault)}). Nothing was changed on the server. Check its disk, and who may read it.`, { cause })
  }
  return new FileSyncError('SOURCE_SUSPECT', 'The directory to push has vanished. Nothing was changed on the server. Check that its disk is still there.', { cause })
}
