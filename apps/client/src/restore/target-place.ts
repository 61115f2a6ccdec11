import * as fs from 'node:fs'
import { errnoOf } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const IS_WINDOWS = process.platform === 'win32'
/**
 * Whether modes and times are set by name. Windows sets neither of a directory through a handle, nor the time of a file that is open for
 * reading. Elsewhere a handle is used, because a name may have become a link.
 */
const SETS_BY_NAME = process.platform !== 'darwin' && !hasDescriptorPaths()

/** The mode of a directory while it is filled, and of a file while it arrives: only the user may see them. */
export const PRIVATE_DIRECTORY = 0o700
const PRIVATE_FILE = 0o600
const READ_ONLY_FILE = 0o444

/** File systems without hard links, or that cannot make another one for this file. EISDIR comes from FAT and exFAT on Windows. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV', 'EACCES', 'EISDIR'])

/** The delays before retries while another program holds a file open that is to be replaced. */
const BUSY_WAITS_MS = [20, 100, 400]
const IN_THE_WAY = new Set(['EPERM', 'EACCES', 'EBUSY'])
const OWNER_WRITES = 0o200n

/** A name in a directory of the target. `prefix` is what `prefix()` of its directories returned. */
export type Place = readonly [prefix: string, name: string]

/** What is at a place; undefined if nothing is. A link is not followed. */
export function statAt ([prefix, name]: Place): fs.BigIntStats | undefined {
  return fs.lstatSync(prefix + name, { bigint: true, throwIfNoEntry: false })
}

/** Makes a directory that only the user may enter. Returns false if something is there already. */
export function makeDirectoryAt ([prefix, name]: Place): boolean {
  try {
    fs.mkdirSync(prefix + name, PRIVATE_DIRECTORY)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Opens a file for writing at its end; created if it does not exist. A link is not followed. */
export function openForWriting ([prefix, name]: Place, how: 'new' | 'continue'): number {
  const exclusive = how === 'new' ? O_EXCL : 0
  return fs.openSync(prefix + name, O_RDWR | O_CREAT | exclusive | (O_NOFOLLOW || 0), PRIVATE_FILE)
}

/** Opens a regular file for reading; undefined for anything else. A link is not followed, and a pipe does not block. */
export function openForReading ([prefix, name]: Place): number | undefined {
  const fd = fs.openSync(prefix + name, O_RDONLY | (O_NOFOLLOW || 0) | (O_NONBLOCK || 0))
  if (fs.fstatSync(fd).isFile()) return fd
  fs.closeSync(fd)
  return undefined
}

/** Sets the mode and the time of an open file. Times are exact to about a quarter of a microsecond. */
export function finishFile (fd: number, { mode, mtimeNs }: { readonly mode: number, readonly mtimeNs: bigint }): void {
  fs.fchmodSync(fd, mode)
  const seconds = secondsOf(mtimeNs)
  fs.futimesSync(fd, seconds, seconds)
}

/** As {@link finishFile}, for a file that is there already. Does nothing if it is no regular file. A link is not followed. */
export function finishFileAt (place: Place, state: { readonly mode: number, readonly mtimeNs: bigint }): void {
  if (SETS_BY_NAME) {
    if (statAt(place)?.isFile() === true) finishByName(place, state)
    return
  }
  const fd = openForReading(place)
  if (fd === undefined) return
  try {
    finishFile(fd, state)
  } finally {
    fs.closeSync(fd)
  }
}

/** As {@link finishFile}, for a directory by its name. A link that has taken its place is not followed. */
export function finishDirectoryAt (place: Place, state: { readonly mode: number, readonly mtimeNs: bigint | undefined }): void {
  const [prefix, name] = place
  if (SETS_BY_NAME) {
    if (statAt(place)?.isDirectory() !== true) throw Object.assign(new Error('It is not a directory.'), { code: 'ENOTDIR' })
    finishByName(place, state)
    return
  }
  const fd = fs.openSync(prefix + name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    if (state.mtimeNs !== undefined) fs.futimesSync(fd, secondsOf(state.mtimeNs), secondsOf(state.mtimeNs))
    fs.fchmodSync(fd, state.mode)
  } finally {
    fs.closeSync(fd)
  }
}

function finishByName ([prefix, name]: Place, { mode, mtimeNs }: { readonly mode: number, readonly mtimeNs: bigint | undefined }): void {
  // Windows marks a directory without write permission as read-only, which prevents nothing but its removal.
  if (!IS_WINDOWS || !fs.lstatSync(prefix + name).isDirectory()) fs.chmodSync(prefix + name, mode)
  if (mtimeNs !== undefined) fs.lutimesSync(prefix + name, secondsOf(mtimeNs), secondsOf(mtimeNs))
}

/** Makes a link under a name that is not taken, with its own time where the system can set it. */
export function makeLinkAt ([prefix, name]: Place, { target, mtimeNs }: { readonly target: string, readonly mtimeNs: bigint }): void {
  fs.symlinkSync(target, prefix + name)
  try {
    fs.lutimesSync(prefix + name, secondsOf(mtimeNs), secondsOf(mtimeNs))
  } catch (error) {
    if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EPERM'].includes(errnoOf(error))) throw error
  }
}

export function targetOf ([prefix, name]: Place): string {
  const target = fs.readlinkSync(prefix + name)
  // Windows turns slashes around when a link is made.
  return IS_WINDOWS ? target.replaceAll('\\', '/') : target
}

/**
 * Moves what is finished to its place. Without `overwrite` nothing is ever replaced, not even what appeared a moment ago; returns
 * false if something is there. With it a file or link there is replaced, but never a directory.
 */
export function moveInPlace (from: Place, to: Place, overwrite: boolean): boolean {
  if (!overwrite) {
    try {
      const isReadOnly = SETS_BY_NAME && ((statAt(from)?.mode ?? OWNER_WRITES) & OWNER_WRITES) === 0n
      fs.linkSync(from[0] + from[1], to[0] + to[1])
      fs.unlinkSync(from[0] + from[1])
      // Some file systems of Windows remove the attribute of the file together with a name of it.
      if (isReadOnly) fs.chmodSync(to[0] + to[1], READ_ONLY_FILE)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      if (!NO_LINKS.has(errnoOf(error))) throw error
      // Without hard links a moment is left in which something could appear there.
      if (statAt(to) !== undefined) return false
    }
  }
  try {
    replace(from, to)
    return true
  } catch (error) {
    if (['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) || statAt(to)?.isDirectory() === true) return false
    throw error
  }
}

/**
 * Windows cannot rename over a read-only file, nor over one that another program holds open. There, the attribute is removed, and the
 * rename is retried while a program holds the file. If that does not help, the file stays as it was.
 */
function replace (from: Place, to: Place): void {
  const rename = (): void => { fs.renameSync(from[0] + from[1], to[0] + to[1]) }
  let modeBefore: number | undefined
  for (const waitMs of SETS_BY_NAME ? BUSY_WAITS_MS : []) {
    try {
      rename()
      return
    } catch (error) {
      const there = IN_THE_WAY.has(errnoOf(error)) ? statAt(to) : undefined
      if (there === undefined || there.isDirectory()) throw error
      if (there.isFile() && (there.mode & OWNER_WRITES) === 0n) {
        modeBefore = Number(there.mode & 0o777n)
        fs.chmodSync(to[0] + to[1], PRIVATE_FILE)
      } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs)
    }
  }
  try {
    rename()
  } catch (error) {
    if (modeBefore !== undefined) fs.chmodSync(to[0] + to[1], modeBefore)
    throw error
  }
}

/** Describes an error of one entry, with what to do if that is known. */
export function describeFault (error: unknown): string {
  const code = errnoOf(error)
  if (!SETS_BY_NAME || !IN_THE_WAY.has(code)) return code
  const call = error instanceof Error && 'syscall' in error ? error.syscall : undefined
  if (call === 'symlink') return `${code}: Windows lets only administrators make links, or everyone in Developer Mode`
  return call === 'rename' ? `${code}: another program may have the file open that is there` : code
}

/** Gives a file a second name that is not taken. Returns false if the file system cannot. */
export function tryLink (from: Place, to: Place): boolean {
  try {
    fs.linkSync(from[0] + from[1], to[0] + to[1])
    return true
  } catch (error) {
    if (NO_LINKS.has(errnoOf(error))) return false
    throw error
  }
}

/** Removes a file or a link, if there is one; also a file that is read-only. */
export function removeAt ([prefix, name]: Place): void {
  try {
    fs.unlinkSync(prefix + name)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Node takes a negative number to mean the present time, but a string literally. */
function secondsOf (timeNs: bigint): number | string {
  const seconds = Number(timeNs) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}
