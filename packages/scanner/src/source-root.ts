import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryId } from './directory-reading.ts'
import type { MountTable } from './mount-table.ts'
import { faultText, isGone, isSystemFault } from './system-fault.ts'

/** What identifies the root directory of a source. Decimal strings, because JSON numbers are not exact at this size. */
export interface RootMark {
  readonly device: string
  readonly inode: string
  readonly birthtimeNs: string
}

/** Time of modification and permission bits of the root directory itself, which no listing has. */
export interface RootState {
  readonly mtimeNs: bigint
  readonly mode: number
}

/** Stored by the app between runs, to detect that the source is another directory. */
export interface ScanMemory {
  readonly root: RootMark
  /** Whether a file system was mounted at the root; absent if that was not known. */
  readonly isMountPoint?: boolean
  /** Number of files at the last scan. */
  readonly files: number
  /** The mount points in the source at the last scan, and those that were away. */
  readonly mounts?: readonly RememberedMount[]
  /** Directories with files that a mount has hidden since they were listed. */
  readonly covered?: readonly RelativePath[]
}

/** A mount point in a source. */
export interface RememberedMount extends RootMark {
  readonly path: RelativePath
  /** Number of files that were listed below it by the last scan; 0 while it is away. */
  readonly files: number
}

/** What the system tells about the root directory. */
export interface RootFacts {
  readonly mark: RootMark
  readonly state: RootState
  /** Undefined if the system does not tell what is mounted. */
  readonly isMountPoint: boolean | undefined
  /** Whether its file system keeps the inode number of a file as long as the file exists. */
  readonly hasStableInodes: boolean
}

/** The root directory of the source, as a port. */
export interface SourceRoot {
  /** What identifies the directory now, and its own state. Throws SOURCE_UNAVAILABLE if it is missing, not a directory or unreadable. */
  look (): RootFacts
  /** The extra ignore file; undefined if there is none. Throws USAGE if it cannot be read. */
  extraRules (): { readonly source: string, readonly text: string } | undefined
  /** Whether a path is a directory now; undefined if nothing is there. */
  isDirectory (path: RelativePath): boolean | undefined
  /** The mount points in the source now; undefined if the system does not tell them. */
  mounts (): MountTable | undefined
  /**
   * Finds a directory by a path of the operating system, absolute or relative to the root. Symbolic links are followed. Undefined
   * if there is none.
   */
  find (path: string): FoundDirectory | undefined
}

export interface FoundDirectory extends DirectoryId {
  /** Where it is in the source; undefined if it is elsewhere. */
  readonly path: RelativePath | undefined
}

/**
 * Whether two marks are of the same directory. Device numbers may change between boots, so another device alone proves
 * nothing. With another device and another inode or time of birth it is another directory: most often a mount point whose
 * disk is not mounted.
 */
export function isSameRoot (before: RootMark, now: RootMark): boolean {
  return before.device === now.device || isSameDirectory(before, now)
}

const ACCEPT_HINT = 'If this is intended, start again with --accept-source.'

/**
 * Whether the same file system is mounted as before. Device numbers may change between boots and are used again for other disks,
 * so the root directory decides. File systems that make up inode numbers may also make up the time of birth at each mount
 * (exFAT); of those an equal device number is enough.
 */
export function isSameMount (before: RootMark, { mark, hasStableInodes }: { mark: RootMark, hasStableInodes: boolean }): boolean {
  return isSameDirectory(before, mark) || (!hasStableInodes && before.device === mark.device)
}

/** Whether two marks are of one directory, if both are on the same file system. */
export function isSameDirectory (before: RootMark, now: RootMark): boolean {
  return before.inode === now.inode && before.birthtimeNs === now.birthtimeNs
}

/** Throws SOURCE_SUSPECT if the directory is not the one of the last scan, or another file system is mounted there. */
export function ensureSameRoot (memory: Pick<ScanMemory, 'root' | 'isMountPoint'> | undefined, now: Omit<RootFacts, 'state'>): void {
  if (memory === undefined) return
  const isMounted = now.isMountPoint
  if (memory.isMountPoint === true && isMounted === false) {
    throw suspectRoot('A file system was mounted at the folder last time, and is not now.')
  }
  const isOther = isMounted === true && memory.isMountPoint !== undefined
    ? !(memory.isMountPoint ? isSameMount(memory.root, now) : isSameDirectory(memory.root, now.mark))
    : !isSameRoot(memory.root, now.mark)
  if (isOther) throw suspectRoot('The folder is on another disk than last time.')
}

function suspectRoot (what: string): FileSyncError {
  return new FileSyncError('SOURCE_SUSPECT',
    `${what} Nothing of it was changed on the server. Check that the right disk is mounted. ${ACCEPT_HINT}`)
}

/** Totals of a scan; `hasLinks` is called only if there is no file. */
export interface RootContent {
  readonly files: number
  readonly directories: number
  readonly hasLinks: () => boolean
}

/** Throws SOURCE_SUSPECT if all files are gone since the last scan and no symbolic link is left. */
export function ensureNotEmptied (memory: ScanMemory | undefined, { files, directories, hasLinks }: RootContent): void {
  if (memory === undefined || memory.files === 0 || files > 0 || hasLinks()) return
  const what = directories > 0 ? 'contains only directories' : 'is empty'
  throw new FileSyncError('SOURCE_SUSPECT', `The folder ${what}, but had ${memory.files} files last time. ` +
    `Nothing of it was changed on the server. Check that its disk is mounted. ${ACCEPT_HINT}`)
}

/** The error for a source that was there before; `cause` is what `look` threw. */
export function vanishedRoot (cause: unknown): FileSyncError {
  const fault = cause instanceof FileSyncError ? cause.cause : cause
  if (isSystemFault(fault) && !isGone(fault)) {
    const message = `The folder can no longer be read (${faultText(fault)}). Nothing of it was changed on the server. ` +
      'Check its disk and its permissions.'
    return new FileSyncError('SOURCE_SUSPECT', message, { cause })
  }
  const message = 'The folder has vanished. Nothing of it was changed on the server. Check that its disk is mounted.'
  return new FileSyncError('SOURCE_SUSPECT', message, { cause })
}
