import * as fs from 'node:fs'
import { errnoOf } from '@filesync/protocol'
import { COMMON_TIMES, storableTime, isStorableEverywhere } from '../store/file-time.ts'
import { checkedName, HOLDS_HANDLES } from './beneath.ts'

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants
const O_DIRECT: number | undefined = (fs.constants as Partial<typeof fs.constants>).O_DIRECT
const TMPFS = 0x0102_1994
const TIME_REFUSALS = new Set(['EINVAL', 'EOVERFLOW', 'ERANGE'])
const FUSE = 0x6573_5546
/** FUSE; CIFS, also as SMB 2 and 3; 9p; shared folders of VirtualBox; eCryptfs: Linux has no `sync_fs` operation for them. */
const RELAYING = new Set([FUSE, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x786f_4256, 0xf15f])
/** Flags that Node passes on to the system and does not name: open(2) of macOS and the BSDs, and libuv's for a share mode of 0. */
const LOCK_FLAGS = process.platform === 'win32' ? { exclusive: 0x1000_0000, shared: 0x1000_0000 } : { exclusive: 0x20, shared: 0x10 }

/** Part of the mode of every file: the server has to be able to read what it keeps. */
export const OWNER_READS = 0o400

/** What stands at a name in a directory of `Beneath`, or what is open. */
export interface Stat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly birthMs: number
  readonly mode: number
  readonly inode: bigint
  readonly device: bigint
}

/** What stands at a name, or undefined. `prefix` is what `Beneath.open` returned, here and below. */
export function statAt (prefix: string, name: string): Stat | undefined {
  const stat = fs.lstatSync(prefix + checkedName(name), { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : describe(stat)
}

/** Whether anything stands at a name; cheaper than {@link statAt}. */
export function existsAt (prefix: string, name: string): boolean {
  return fs.lstatSync(prefix + checkedName(name), { throwIfNoEntry: false }) !== undefined
}

export function statOf (fd: number): Stat {
  return describe(fs.fstatSync(fd, { bigint: true }))
}

/** Whether the disk has not set all of a file aside: who maps a file with a hole into memory and writes there on a full disk is ended by a signal. */
export function hasHole (fd: number): boolean {
  const { blocks, size } = fs.fstatSync(fd)
  return blocks * 512 < size
}

/** What the disk has set aside for a file. */
export function allocatedBytes (fd: number): number {
  return fs.fstatSync(fd).blocks * 512
}

function describe (stat: fs.BigIntStats): Stat {
  const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'special'
  return {
    kind, sizeBytes: Number(stat.size), mtimeNs: stat.mtimeNs, birthMs: Number(stat.birthtimeMs), mode: Number(stat.mode) & 0o777,
    inode: stat.ino, device: stat.dev,
  }
}

/** A new file for writing; fails where the name is taken. */
export function createAt (prefix: string, name: string, mode: number): number {
  return fs.openSync(prefix + checkedName(name), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode)
}

/** A file to append to, which is made if it does not exist. */
export function appendAt (prefix: string, name: string): number {
  return fs.openSync(prefix + checkedName(name), O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600)
}

/** A file in staging for reading and writing, made where it does not exist. */
export function continueAt (prefix: string, name: string): number {
  return fs.openSync(prefix + checkedName(name), O_CREAT | O_RDWR | O_NOFOLLOW, 0o600)
}

/** A regular file for reading; throws ENOTREG for anything else, without waiting for the other end of a pipe. */
export function readAt (prefix: string, name: string): number {
  const fd = fs.openSync(prefix + checkedName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fs.fstatSync(fd).isFile()) return fd
  fs.closeSync(fd)
  throw Object.assign(new Error('It is not a regular file.'), { code: 'ENOTREG' })
}

/**
 * A file that is opened and locked in one step, not on Linux; `exclusive` makes it if it does not exist. Throws EAGAIN, or EBUSY
 * on Windows, if another process has it locked.
 */
export function openLockedAt (prefix: string, name: string, mode: 'exclusive' | 'shared'): number {
  // Windows has no such flag.
  const nonblock: number = process.platform === 'win32' ? 0 : O_NONBLOCK
  return fs.openSync(prefix + checkedName(name), (mode === 'exclusive' ? O_CREAT | O_RDWR : O_RDONLY) | nonblock | LOCK_FLAGS[mode], 0o600)
}

/** As {@link readAt}, for reading past the page cache into aligned memory; undefined where there is no way past it. */
export function readDirectAt (prefix: string, name: string): number | undefined {
  // A file system in memory takes the flag and has nothing but the cache.
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

/** What a path leads to, a link itself. Without holding up this thread, as those below, for a disk that may not answer. */
export async function lookAt (path: string): Promise<Stat> {
  return describe(await fs.promises.lstat(path, { bigint: true }))
}

/** What of a file fits into `bytes`. */
export async function readBeginning (path: string, bytes: Uint8Array): Promise<Uint8Array> {
  return await readStart(path, bytes, O_RDONLY)
}

/** As {@link readBeginning}, past the page cache into aligned memory; undefined if there is no way past it. */
export async function readBeginningDirect (path: string, bytes: Uint8Array): Promise<Uint8Array | undefined> {
  if (O_DIRECT === undefined) return undefined
  try {
    return await readStart(path, bytes, O_RDONLY | O_DIRECT)
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    return undefined
  }
}

async function readStart (path: string, bytes: Uint8Array, flags: number): Promise<Uint8Array> {
  // A plain name may be a pipe or a link by now.
  const file = await fs.promises.open(path, flags | O_NOFOLLOW | O_NONBLOCK)
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/**
 * Whether a directory lies on a file system that hands what it is given to another program or machine, and on which syncfs(2) ends before
 * it has told them to flush. The kernel passes it on to virtiofs alone, which cannot be told from other FUSE file systems.
 */
export function relaysFlushes (prefix: string): boolean {
  return process.platform === 'linux' && RELAYING.has(fs.statfsSync(prefix).type)
}

/** Whether a directory lies on a file system in user space. */
export function isFuse (prefix: string): boolean {
  return process.platform === 'linux' && fileSystemType(prefix) === FUSE
}

/** The type of a file system, as statfs(2) of Linux numbers them. */
export function fileSystemType (prefix: string): number {
  return fs.statfsSync(prefix).type
}

/** What is mounted, as Linux lists it; empty if it does not. */
export function mountInfo (): string {
  try {
    return fs.readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return ''
  }
}

/** A path with every link and drive letter followed, as Windows names it: that of a share begins with two backslashes. */
export function nativePath (path: string): string {
  return fs.realpathSync.native(path)
}

export function renameAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  fs.renameSync(fromPrefix + checkedName(from), to[0] + checkedName(to[1]))
}

/** How long to wait for another program that holds a file open, before each further try. */
const BUSY_WAITS_MS = [20, 100, 400]
const IN_THE_WAY = new Set(['EPERM', 'EACCES', 'EBUSY'])

/**
 * Renames over what has the name. Windows does not rename over a read-only file, nor over one that another program holds open:
 * there what is in the way is removed first, so for a moment the name is missing, and a program that holds it is waited for.
 * What is replaced must have been kept elsewhere.
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

/** Sets the time of a link itself. Node takes seconds as a double, so the disk holds about a quarter of a microsecond. */
export function touchLinkAt (prefix: string, name: string, mtimeNs: bigint): void {
  setTime(mtimeNs, seconds => { fs.lutimesSync(prefix + checkedName(name), seconds, seconds) })
}

/** As {@link touchLinkAt}, of an open file or directory. */
export function touch (fd: number, mtimeNs: bigint): void {
  setTime(mtimeNs, seconds => { fs.futimesSync(fd, seconds, seconds) })
}

/** Sets the nearest time that every file system holds where this one refuses another instead of changing it. */
function setTime (mtimeNs: bigint, set: (seconds: number | string) => void): void {
  try {
    set(secondsOf(mtimeNs))
  } catch (error) {
    if (isStorableEverywhere(mtimeNs) || !TIME_REFUSALS.has(errnoOf(error))) throw error
    set(secondsOf(storableTime(mtimeNs, COMMON_TIMES)))
  }
}

/**
 * As {@link touch}, of a file that is open for reading, where it lies. Windows sets times only through handles that may write,
 * which a read-only file does not give; by its name it takes them.
 */
export function touchOpen (fd: number, mtimeNs: bigint, [prefix, name]: readonly [prefix: string, name: string]): void {
  if (HOLDS_HANDLES) touch(fd, mtimeNs)
  else touchLinkAt(prefix, name, mtimeNs)
}

/** Node takes a negative number for the present moment, and a text for what it says. */
function secondsOf (timeNs: bigint): number | string {
  const seconds = Number(timeNs) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}

export function setMode (fd: number, mode: number): void {
  fs.fchmodSync(fd, mode & 0o777)
}

/** As {@link setMode}, by name: of a directory where no handles are held. */
export function setModeAt (prefix: string, name: string, mode: number): void {
  fs.chmodSync(prefix + checkedName(name), mode & 0o777)
}

/** As {@link setMode}, of a directory by its name, which is not followed if it is a link by now. */
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

/** Bytes read, 0 at the end. */
export function readInto (fd: number, bytes: Uint8Array, position: number): number {
  return fs.readSync(fd, bytes, 0, bytes.length, position)
}

/** As {@link readInto}, without holding up this thread: for disks that are not the archive's own. */
export async function readLater (fd: number, bytes: Uint8Array, position: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    fs.read(fd, bytes, 0, bytes.length, position, (error, count) => { if (error === null) resolve(count); else reject(error) })
  })
}

export function cutTo (fd: number, sizeBytes: number): void {
  fs.ftruncateSync(fd, sizeBytes)
}

export function syncFile (fd: number): void {
  fs.fsyncSync(fd)
}

/** Flushes a directory, given as a prefix. */
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

/** A new directory for this user alone, outside the archive. */
export function makeScratch (below: string): string {
  return fs.mkdtempSync(`${below}/filesync-index-`)
}

export function removeScratch (directory: string): void {
  fs.rmSync(directory, { recursive: true, force: true })
}

/** Whether a directory lies on a file system that takes no changes. */
export function isReadOnly (prefix: string): boolean {
  try {
    fs.accessSync(prefix, fs.constants.W_OK)
    return false
  } catch (error) {
    return errnoOf(error) === 'EROFS'
  }
}

/** Room on the file system, for a user without privileges. */
export function roomOf (root: string): { readonly freeBytes: number, readonly totalBytes: number } {
  const { bavail, blocks, bsize } = fs.statfsSync(root)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
