import * as fs from 'node:fs'
import { FileSyncError } from '@filesync/protocol'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
/** Handles that are held at once, well below the usual limit of 1024 open files a process. */
const HELD_HANDLES = 200

/** Whether directories can be held open and names looked up below them, so that no path is walked twice. */
export const HOLDS_HANDLES: boolean = fs.existsSync('/proc/self/fd')

export interface Stat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly birthMs: number
  readonly mode: number
  readonly inode: bigint
  readonly device: bigint
}

/**
 * The only way to the disk: everything happens to one name in a directory beneath a root, and no symbolic link is ever
 * followed. On Linux each directory is opened once, component by component with O_NOFOLLOW, and held; names are looked
 * up below the handle through `/proc/self/fd`, so nothing that is exchanged meanwhile can lead out. Elsewhere every
 * component is looked at before each use, which leaves a moment in which a local user could exchange it.
 */
export class Beneath {
  readonly root: string
  readonly #holds: boolean
  readonly #rootFd: number
  readonly #handles = new Map<string, number>()

  /** Throws ARCHIVE_UNAVAILABLE where the root is no directory, ARCHIVE_ESCAPE where it is a symbolic link. */
  constructor (root: string, holds: boolean = HOLDS_HANDLES) {
    this.#holds = holds
    this.#rootFd = openRoot(root)
    this.root = holds ? fs.readlinkSync(`/proc/self/fd/${String(this.#rootFd)}`) : fs.realpathSync(root)
  }

  /**
   * The prefix for names in a directory, good until `trim`; '' is the root. Throws the errno of the first component that
   * is no directory.
   */
  open (directory: string, how: 'existing' | 'make' = 'existing'): string {
    if (!this.#holds) return this.#walk(directory, how)
    return `/proc/self/fd/${String(this.handle(directory, how))}/`
  }

  /** A descriptor of a directory, which stays this object's. */
  handle (directory: string, how: 'existing' | 'make' = 'existing'): number {
    if (directory === '') return this.#rootFd
    const held = this.#handles.get(directory)
    if (held !== undefined) {
      this.#handles.delete(directory)
      // A directory that was moved away takes its handle along, perhaps out of the root.
      if (!this.#holds || fs.readlinkSync(`/proc/self/fd/${String(held)}`) === `${this.root}/${directory}`) {
        this.#handles.set(directory, held)
        return held
      }
      fs.closeSync(held)
    }
    const at = directory.lastIndexOf('/')
    const prefix = this.open(directory.slice(0, Math.max(at, 0)), how)
    const fd = openDirectory(prefix + checked(directory.slice(at + 1)), how)
    this.#handles.set(directory, fd)
    return fd
  }

  /**
   * Lets go of the handles that were not used for longest. To be called between pieces of work, when no prefix is in
   * use: the number of a closed handle may be given to another directory.
   */
  trim (): void {
    if (this.#handles.size <= HELD_HANDLES) return
    for (const [directory, fd] of this.#handles) {
      this.#handles.delete(directory)
      fs.closeSync(fd)
      if (this.#handles.size <= HELD_HANDLES / 2) return
    }
  }

  /** Lets go of all handles. */
  forget (): void {
    for (const fd of this.#handles.values()) fs.closeSync(fd)
    this.#handles.clear()
  }

  close (): void {
    this.forget()
    fs.closeSync(this.#rootFd)
  }

  #walk (directory: string, how: 'existing' | 'make'): string {
    let path = this.root
    for (const name of directory === '' ? [] : directory.split('/')) {
      path = `${path}/${checked(name)}`
      let found = fs.lstatSync(path, { throwIfNoEntry: false })
      if (found === undefined && how === 'make') {
        makeUnlessThere(path)
        found = fs.lstatSync(path, { throwIfNoEntry: false })
      }
      if (found?.isDirectory() !== true) throw notADirectory(path, found === undefined ? 'ENOENT' : 'ENOTDIR')
    }
    return `${path}/`
  }
}

function openRoot (root: string): number {
  try {
    return fs.openSync(root, DIRECTORY)
  } catch (cause) {
    const code = errnoOf(cause)
    if (code === 'ELOOP' || (code === 'ENOTDIR' && fs.lstatSync(root).isSymbolicLink())) {
      throw new FileSyncError('ARCHIVE_ESCAPE', `The archive ${root} is a symbolic link. Give the directory that it points to.`, { cause })
    }
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be opened as a directory (${code}).`, { cause })
  }
}

function openDirectory (path: string, how: 'existing' | 'make'): number {
  try {
    return fs.openSync(path, DIRECTORY)
  } catch (error) {
    if (how === 'existing' || errnoOf(error) !== 'ENOENT') throw error
    makeUnlessThere(path)
    return fs.openSync(path, DIRECTORY)
  }
}

/** Another thread may make it at the same moment. */
function makeUnlessThere (path: string): void {
  try {
    fs.mkdirSync(path, 0o700)
  } catch (race) {
    if (errnoOf(race) !== 'EEXIST') throw race
  }
}

function notADirectory (path: string, code: string): Error {
  return Object.assign(new Error(`${code}: not a directory, open '${path}'`), { code })
}

// `..` works below a handle too, so what is not a single name must not get this far.
function checked (name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FileSyncError('ARCHIVE_ESCAPE', 'Something that is not a single name was about to be looked up in the archive.')
  }
  return name
}

/** The code of a system error, such as ENOENT; '' for anything else. */
export function errnoOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Makes a directory and those above it. For the root itself, before it is opened. */
export function makeRoot (path: string): void {
  fs.mkdirSync(path, { recursive: true, mode: 0o755 })
}

/** What stands at a name, or undefined. `prefix` comes from {@link Beneath.open}. */
export function statAt (prefix: string, name: string): Stat | undefined {
  const stat = fs.lstatSync(prefix + checked(name), { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : describe(stat)
}

/** Whether anything stands at a name; cheaper than {@link statAt}. */
export function existsAt (prefix: string, name: string): boolean {
  return fs.lstatSync(prefix + checked(name), { throwIfNoEntry: false }) !== undefined
}

export function statOf (fd: number): Stat {
  return describe(fs.fstatSync(fd, { bigint: true }))
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
  return fs.openSync(prefix + checked(name), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode)
}

/** A file in staging for reading and writing, made where it does not exist. */
export function continueAt (prefix: string, name: string): number {
  return fs.openSync(prefix + checked(name), O_CREAT | O_RDWR | O_NOFOLLOW, 0o600)
}

/** A regular file for reading; throws ENOTREG for anything else, without waiting for the other end of a pipe. */
export function readAt (prefix: string, name: string): number {
  const fd = fs.openSync(prefix + checked(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fs.fstatSync(fd).isFile()) return fd
  fs.closeSync(fd)
  throw Object.assign(new Error('It is not a regular file.'), { code: 'ENOTREG' })
}

const O_DIRECT: number | undefined = (fs.constants as Partial<typeof fs.constants>).O_DIRECT
const TMPFS = 0x0102_1994
/** The types of Node do not have WebAssembly, and those of browsers would bring everything else a browser has. */
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: { readonly Memory: new (size: { initial: number, maximum: number }) => { readonly buffer: ArrayBuffer } } }
const WASM_PAGE_BYTES = 1 << 16

/** As {@link readAt}, for reading past the page cache into aligned memory; undefined where there is no way past it. */
export function readDirectAt (prefix: string, name: string): number | undefined {
  // A file system in memory takes the flag and has nothing but the cache.
  if (O_DIRECT === undefined || fs.statfsSync(prefix).type === TMPFS) return undefined
  try {
    const fd = fs.openSync(prefix + checked(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_DIRECT)
    if (fs.fstatSync(fd).isFile()) return fd
    fs.closeSync(fd)
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
  }
  return undefined
}

/** Memory that starts at the start of a page, as reading past the page cache asks for. */
export function pageAlignedBuffer (sizeBytes: number): Uint8Array {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES)
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer, 0, sizeBytes)
}

export function renameAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  fs.renameSync(fromPrefix + checked(from), to[0] + checked(to[1]))
}

export function linkAt (fromPrefix: string, from: string, to: readonly [prefix: string, name: string]): void {
  fs.linkSync(fromPrefix + checked(from), to[0] + checked(to[1]))
}

export function symlinkAt (prefix: string, name: string, target: string): void {
  fs.symlinkSync(target, prefix + checked(name))
}

export function targetAt (prefix: string, name: string): string {
  return fs.readlinkSync(prefix + checked(name))
}

export function makeDirectoryAt (prefix: string, name: string): void {
  fs.mkdirSync(prefix + checked(name), 0o700)
}

export function unlinkAt (prefix: string, name: string): void {
  fs.unlinkSync(prefix + checked(name))
}

export function removeDirectoryAt (prefix: string, name: string): void {
  fs.rmdirSync(prefix + checked(name))
}

export function namesIn (prefix: string): string[] {
  return fs.readdirSync(prefix)
}

/** Sets the time of a link itself. Node takes seconds as a double, so the disk holds about a quarter of a microsecond. */
export function touchLinkAt (prefix: string, name: string, mtimeNs: bigint): void {
  const seconds = Number(mtimeNs) / 1e9
  fs.lutimesSync(prefix + checked(name), seconds, seconds)
}

/** As {@link touchLinkAt}, of an open file or directory. */
export function touch (fd: number, mtimeNs: bigint): void {
  const seconds = Number(mtimeNs) / 1e9
  fs.futimesSync(fd, seconds, seconds)
}

export function setMode (fd: number, mode: number): void {
  fs.fchmodSync(fd, mode & 0o777)
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

export function close (fd: number): void {
  fs.closeSync(fd)
}

/** Room on the file system, for a user without privileges. */
export function roomOf (root: string): { readonly freeBytes: number, readonly totalBytes: number } {
  const { bavail, blocks, bsize } = fs.statfsSync(root)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
