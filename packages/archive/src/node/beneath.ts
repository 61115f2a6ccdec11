import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
/** How many handles are held at the same time: well below the usual limit of 1024 open files per process. */
const HELD_HANDLES = 200

/** Whether directories can be held open and names looked up relative to them, so that no path is resolved twice. */
export const HOLDS_HANDLES: boolean = hasDescriptorPaths()

/**
 * Opens directories beneath a root; there is no other way to reach them, and symbolic links are never followed. On Linux each
 * directory is opened once, component by component with O_NOFOLLOW, and held open. Names are looked up relative to the handle
 * through `/proc/self/fd`, so replacing a component cannot lead outside the root. On other systems every component is checked
 * before each use, which leaves a moment in which a local user could replace it. Operations on names in a directory are in disk.ts.
 */
export class Beneath {
  readonly root: string
  /** Whether directories are held open. If not, {@link handle} works for the root only. */
  readonly holds: boolean
  readonly #rootFd: number
  readonly #handles = new Map<string, number>()

  /** Throws ARCHIVE_UNAVAILABLE if the root is not a directory, and ARCHIVE_ESCAPE if it is a symbolic link. */
  constructor (root: string, holds: boolean = HOLDS_HANDLES) {
    this.holds = holds
    this.#rootFd = openRoot(root)
    this.root = holds ? fs.readlinkSync(`/proc/self/fd/${String(this.#rootFd)}`) : fs.realpathSync.native(root)
  }

  /**
   * Returns the prefix for names in a directory, which is valid until `trim`; '' is the root. Throws the errno of the first
   * component that is not a directory.
   */
  open (directory: string, how: 'existing' | 'make' = 'existing'): string {
    if (!this.holds) return this.#walk(directory, how)
    return `/proc/self/fd/${String(this.handle(directory, how))}/`
  }

  /** A descriptor of a directory, owned by this object. If none are held open, only that of the root is available. */
  handle (directory: string, how: 'existing' | 'make' = 'existing'): number {
    if (directory === '') return this.#rootFd
    if (!this.holds) throw new FileSyncError('INTERNAL', 'Directory handles are not kept open on this system.')
    const held = this.#handles.get(directory)
    if (held !== undefined) {
      this.#handles.delete(directory)
      // The handle follows a directory that was moved, perhaps out of the root.
      if (fs.readlinkSync(`/proc/self/fd/${String(held)}`) === `${this.root}/${directory}`) {
        this.#handles.set(directory, held)
        return held
      }
      fs.closeSync(held)
    }
    const at = directory.lastIndexOf('/')
    const prefix = this.open(directory.slice(0, Math.max(at, 0)), how)
    const fd = openDirectory(prefix + checkedName(directory.slice(at + 1)), how)
    this.#handles.set(directory, fd)
    return fd
  }

  /**
   * Closes the least recently used handles if there are too many. To be called between operations, when no prefix is in use: the
   * number of a closed handle may be reused for another directory.
   */
  trim (): void {
    if (this.#handles.size <= HELD_HANDLES) return
    for (const [directory, fd] of this.#handles) {
      this.#handles.delete(directory)
      fs.closeSync(fd)
      if (this.#handles.size <= HELD_HANDLES / 2) return
    }
  }

  /** Closes all handles but that of the root. */
  closeHandles (): void {
    for (const fd of this.#handles.values()) fs.closeSync(fd)
    this.#handles.clear()
  }

  close (): void {
    this.closeHandles()
    fs.closeSync(this.#rootFd)
  }

  #walk (directory: string, how: 'existing' | 'make'): string {
    let path = this.root
    for (const name of directory === '' ? [] : directory.split('/')) {
      path = `${path}/${checkedName(name)}`
      let found = fs.lstatSync(path, { throwIfNoEntry: false })
      if (found === undefined && how === 'make') {
        makeIfMissing(path)
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
      throw new FileSyncError('ARCHIVE_ESCAPE', `The archive ${root} is a symbolic link. Use the directory that it points to.`, { cause })
    }
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be opened as a directory (${code}). ` +
      'Check that it is a directory and that the server may read it.', { cause })
  }
}

function openDirectory (path: string, how: 'existing' | 'make'): number {
  try {
    return fs.openSync(path, DIRECTORY)
  } catch (error) {
    if (how === 'existing' || errnoOf(error) !== 'ENOENT') throw error
    makeIfMissing(path)
    return fs.openSync(path, DIRECTORY)
  }
}

/** Another thread may create it at the same moment. */
function makeIfMissing (path: string, mode = 0o700): void {
  try {
    fs.mkdirSync(path, mode)
  } catch (race) {
    if (errnoOf(race) !== 'EEXIST') throw race
  }
}

function notADirectory (path: string, code: string): Error {
  return Object.assign(new Error(`${code}: not a directory, open '${path}'`), { code })
}

/** Returns the name. Throws ARCHIVE_ESCAPE if it is not a single component: `..` would leave the directory of a handle too. */
export function checkedName (name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FileSyncError('ARCHIVE_ESCAPE', 'Refused to look up a name in the archive that is empty, "." or "..", ' +
      'or contains "/" or NUL.')
  }
  return name
}

/**
 * Creates a directory and its parents. For the root, before it is opened. Node's recursive mkdir retries forever on a file
 * system that cannot create directories, such as /proc.
 */
export function makeRoot (path: string): void {
  try {
    makeIfMissing(path, 0o755)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    makeRoot(dirname(path))
    makeIfMissing(path, 0o755)
  }
}

/** Whether anything is at a path. For the root, before it is opened. */
export function existsPath (path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** The real path of the part of a path that exists, followed by the rest. */
export function realPathOf (path: string): string {
  try {
    return fs.realpathSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    return join(realPathOf(dirname(path)), basename(path))
  }
}
