import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@filesync/protocol'
import { COMMON_TIMES, storableTime, isStorableEverywhere } from '../store/file-time.ts'
import { checkedName, HOLDS_HANDLES } from './beneath.ts'

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants
/** The flag of open(2) for reading and writing past the page cache; undefined if the system has none. */
export const O_DIRECT: number | undefined = (fs.constants as Partial<typeof fs.constants>).O_DIRECT
/** The flag of open(2) on Linux for a file without a name, with O_DIRECTORY; Node has no name for it. */
const O_TMPFILE = process.platform === 'linux' ? 0x40_0000 | O_DIRECTORY : undefined
const TMPFS = 0x0102_1994
const TIME_REFUSALS = new Set(['EINVAL', 'EOVERFLOW', 'ERANGE'])
/** Flags that Node passes to the system but has no names for: those of open(2) on macOS and the BSDs, and libuv's for a share mode of 0. */
const LOCK_FLAGS = process.platform === 'win32' ? { exclusive: 0x1000_0000, shared: 0x1000_0000 } : { exclusive: 0x20, shared: 0x10 }

/** Set in the mode of every stored file, because the server has to be able to read it. */
export const OWNER_READS = 0o400

/** Describes what is at a name in a directory of `Beneath`, or an open file. */
export interface Stat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly birthMs: number
  readonly mode: number
  readonly inode: bigint
  readonly device: bigint
  /** How many names it has. */
  readonly links: number
}

/** Describes what is at a name; undefined if nothing is. Here and below, `prefix` is what `Beneath.open` returned. */
export function statAt (prefix: string, name: string): Stat | undefined {
  const stat = fs.lstatSync(prefix + checkedName(name), { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : describeStat(stat)
}

/** Whether anything is at a name; cheaper than {@link statAt}. */
export function existsAt (prefix: string, name: string): boolean {
  return fs.lstatSync(prefix + checkedName(name), { throwIfNoEntry: false }) !== undefined
}

export function statOf (fd: number): Stat {
  return describeStat(fs.fstatSync(fd, { bigint: true }))
}

/**
 * Whether the disk has not allocated all of a file. A process that maps such a file into memory and writes to a hole is killed by a
 * signal if the disk is full.
 */
export function hasHole (fd: number): boolean {
  const { blocks, size } = fs.fstatSync(fd)
  return blocks * 512 < size
}

/** The bytes that the disk has allocated for a file. */
export function allocatedBytes (fd: number): number {
  return fs.fstatSync(fd).blocks * 512
}

export function describeStat (stat: fs.BigIntStats): Stat {
  const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'special'
  return {
    kind, sizeBytes: Number(stat.size), mtimeNs: stat.mtimeNs, birthMs: Number(stat.birthtimeMs), mode: Number(stat.mode) & 0o777,
    inode: stat.ino, device: stat.dev, links: Number(stat.nlink),
  }
}

/** Creates a file for writing; fails if the name is taken. */
export function createAt (prefix: string, name: string, mode: number): number {
  return fs.openSync(prefix + checkedName(name), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode)
}

/** Opens a file for appending, and creates it if it does not exist. */
export function appendAt (prefix: string, name: string): number {
  return fs.openSync(prefix + checkedName(name), O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600)
}

/** Opens a file for reading and writing, and creates it if it does not exist. */
export function continueAt (prefix: string, name: string): number {
  return fs.openSync(prefix + checkedName(name), O_CREAT | O_RDWR | O_NOFOLLOW, 0o600)
}

/** Opens a regular file for reading; throws ENOTREG for anything else, without waiting for the other end of a pipe. */
export function readAt (prefix: string, name: string): number {
  const fd = fs.openSync(prefix + checkedName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fs.fstatSync(fd).isFile()) return fd
  fs.closeSync(fd)
  throw Object.assign(new Error('It is not a regular file.'), { code: 'ENOTREG' })
}

/**
 * Opens and locks a file in one step, on systems other than Linux. `exclusive` creates the file if it does not exist. Throws EAGAIN,
 * or EBUSY on Windows, if another process has locked it.
 */
export function openLockedAt (prefix: string, name: string, mode: 'exclusive' | 'shared'): number {
  // Windows has no such flag.
  const nonblock: number = process.platform === 'win32' ? 0 : O_NONBLOCK
  return fs.openSync(prefix + checkedName(name), (mode === 'exclusive' ? O_CREAT | O_RDWR : O_RDONLY) | nonblock | LOCK_FLAGS[mode], 0o600)
}

/** As {@link readAt}, for reading past the page cache into aligned memory; undefined if the cache cannot be bypassed. */
export function readDirectAt (prefix: string, name: string): number | undefined {
  // A file system in memory accepts the flag, although it consists of nothing but the cache.
  if (O_DIRECT === undefined || fs.statfsSync(prefix).type === TMPFS) return undefined
  try {
    const fd = fs.openSync(prefix + checkedName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_DIRECT)
    if (fs.fstatSync(fd).isFile()) return fd
    fs.closeSync(fd)
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
  }
  return undefined
}

export function renameAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  fs.renameSync(fromPrefix + checkedName(from), to[0] + checkedName(to[1]))
}

/** The delays before retries while another program holds a file open. */
const BUSY_WAITS_MS = [20, 100, 400]
const IN_THE_WAY = new Set(['EPERM', 'EACCES', 'EBUSY'])

/**
 * Renames a file over an existing one, which the caller must have kept elsewhere. Windows cannot rename over a read-only file, nor over
 * one that another program holds open. There, the existing file is removed first, so the name is missing for a moment, and the rename is
 * retried while a program holds the file.
 */
export function replaceAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  for (const waitMs of HOLDS_HANDLES ? [] : BUSY_WAITS_MS) {
    try {
      renameAt(fromPrefix, from, to)
      return
    } catch (error) {
      const there = IN_THE_WAY.has(errnoOf(error)) ? statAt(to[0], to[1]) : undefined
      if (there === undefined || there.kind === 'directory') throw error
      if (!isRemoved(to)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs)
    }
  }
  renameAt(fromPrefix, from, to)
}

function isRemoved ([prefix, name]: readonly [prefix: string, name: string]): boolean {
  try {
    unlinkAt(prefix, name)
    return true
  } catch (error) {
    if (IN_THE_WAY.has(errnoOf(error))) return false
    throw error
  }
}

export function linkAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  fs.linkSync(fromPrefix + checkedName(from), to[0] + checkedName(to[1]))
}

export function symlinkAt (prefix: string, name: string, target: string): void {
  fs.symlinkSync(target, prefix + checkedName(name))
}

export function targetAt (prefix: string, name: string): string {
  return fs.readlinkSync(prefix + checkedName(name))
}

export function makeDirectoryAt (prefix: string, name: string): void {
  fs.mkdirSync(prefix + checkedName(name), 0o700)
}

export function unlinkAt (prefix: string, name: string): void {
  fs.unlinkSync(prefix + checkedName(name))
}

export function removeDirectoryAt (prefix: string, name: string): void {
  fs.rmdirSync(prefix + checkedName(name))
}

export function namesIn (prefix: string): string[] {
  return fs.readdirSync(prefix)
}

/** The names in a directory and whether each is a regular file, which most file systems tell without a look at each. */
export function * kindsIn (prefix: string): Generator<{ readonly name: string, readonly isFile: boolean }, void, undefined> {
  for (const entry of fs.readdirSync(prefix, { withFileTypes: true })) yield { name: entry.name, isFile: entry.isFile() }
}

/**
 * Opens a new file without a name, which is gone when it is closed.
 *
 * @param directory absolute path of the directory on whose file system it is
 */
export function openUnnamed (directory: string): number {
  if (O_TMPFILE !== undefined) {
    try {
      return fs.openSync(directory, O_TMPFILE | O_RDWR, 0o600)
    } catch { /* some file systems have none */ }
  }
  const path = join(directory, `.filesync-scratch-${randomBytes(8).toString('hex')}`)
  const fd = fs.openSync(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600)
  fs.unlinkSync(path)
  return fd
}

/** Sets the time of a link itself. Node takes seconds as a double, so times are exact to about a quarter of a microsecond. */
export function touchLinkAt (prefix: string, name: string, mtimeNs: bigint): void {
  setTime(mtimeNs, seconds => { fs.lutimesSync(prefix + checkedName(name), seconds, seconds) })
}

/** As {@link touchLinkAt}, for an open file or directory. */
export function touch (fd: number, mtimeNs: bigint): void {
  setTime(mtimeNs, seconds => { fs.futimesSync(fd, seconds, seconds) })
}

/** Sets a time. If the file system rejects it instead of adjusting it, sets the nearest time that every file system can hold. */
function setTime (mtimeNs: bigint, set: (seconds: number | string) => void): void {
  try {
    set(secondsOf(mtimeNs))
  } catch (error) {
    if (isStorableEverywhere(mtimeNs) || !TIME_REFUSALS.has(errnoOf(error))) throw error
    set(secondsOf(storableTime(mtimeNs, COMMON_TIMES)))
  }
}

/**
 * As {@link touch}, for a file that is open for reading, given with its place. Windows sets times only through a handle that may
 * write, which a read-only file does not allow; there the time is set by name.
 */
export function touchOpen (fd: number, mtimeNs: bigint, [prefix, name]: readonly [prefix: string, name: string]): void {
  if (HOLDS_HANDLES) touch(fd, mtimeNs)
  else touchLinkAt(prefix, name, mtimeNs)
}

/** Node takes a negative number to mean the present time, but a string literally. */
function secondsOf (timeNs: bigint): number | string {
  const seconds = Number(timeNs) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}

export function setMode (fd: number, mode: number): void {
  fs.fchmodSync(fd, mode & 0o777)
}

/** As {@link setMode}, by name: for a directory on systems where no handles are held. */
export function setModeAt (prefix: string, name: string, mode: number): void {
  fs.chmodSync(prefix + checkedName(name), mode & 0o777)
}

/** As {@link setMode}, for a directory by its name. A link that has taken its place is not followed. */
export function setDirectoryModeAt (prefix: string, name: string, mode: number): void {
  if (!HOLDS_HANDLES) {
    setModeAt(prefix, name, mode)
    return
  }
  const fd = fs.openSync(prefix + checkedName(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    setMode(fd, mode)
  } finally {
    fs.closeSync(fd)
  }
}

export function writeAll (fd: number, bytes: Uint8Array, position?: number): void {
  for (let at = 0; at < bytes.length;) {
    at += fs.writeSync(fd, bytes, at, bytes.length - at, position === undefined ? null : position + at)
  }
}

/** Reads from an open file, and returns the number of bytes; 0 at the end. */
export function readInto (fd: number, bytes: Uint8Array, position: number): number {
  return fs.readSync(fd, bytes, 0, bytes.length, position)
}

export function truncate (fd: number, sizeBytes: number): void {
  fs.ftruncateSync(fd, sizeBytes)
}

export function syncFile (fd: number): void {
  fs.fsyncSync(fd)
}

/** Flushes the directory of a prefix. */
export function syncDirectoryAt (prefix: string): void {
  const fd = fs.openSync(prefix, O_RDONLY)
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

export function close (fd: number): void {
  fs.closeSync(fd)
}
