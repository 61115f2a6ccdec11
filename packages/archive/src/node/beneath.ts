import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
/** Handles that are held at once, well below the usual limit of 1024 open files a process. */
const HELD_HANDLES = 200

/** Whether directories can be held open and names looked up below them, so that no path is walked twice. */
export const HOLDS_HANDLES: boolean = hasDescriptorPaths()

/**
 * The only way to a directory beneath a root: no symbolic link is ever followed. On Linux each directory is opened once,
 * component by component with O_NOFOLLOW, and held; names are looked up below the handle through `/proc/self/fd`, so
 * nothing that is exchanged meanwhile can lead out. Elsewhere every component is looked at before each use, which leaves a
 * moment in which a local user could exchange it. What is done to names in a directory is in disk.ts.
 */
export class Beneath {
  readonly root: string
  /** Whether directories are held open. If not, {@link handle} is for the root alone. */
  readonly holds: boolean
  readonly #rootFd: number
  readonly #handles = new Map<string, number>()

  /** Throws ARCHIVE_UNAVAILABLE where the root is no directory, ARCHIVE_ESCAPE where it is a symbolic link. */
  constructor (root: string, holds: boolean = HOLDS_HANDLES) {
    this.holds = holds
    this.#rootFd = openRoot(root)
    this.root = holds ? fs.readlinkSync(`/proc/self/fd/${String(this.#rootFd)}`) : fs.realpathSync.native(root)
  }

  /**
   * The prefix for names in a directory, good until `trim`; '' is the root. Throws the errno of the first component that
   * is no directory.
   */
  open (directory: string, how: 'existing' | 'make' = 'existing'): string {
    if (!this.holds) return this.#walk(directory, how)
    return `/proc/self/fd/${String(this.handle(directory, how))}/`
  }

  /** A descriptor of a directory, which stays this object's. Where none are held, of the root. */
  handle (directory: string, how: 'existing' | 'make' = 'existing'): number {
    if (directory === '') return this.#rootFd
    if (!this.holds) throw new FileSyncError('INTERNAL', 'Directory handles are not kept open on this system.')
    const held = this.#handles.get(directory)
    if (held !== undefined) {
      this.#handles.delete(directory)
      // A directory that was moved away takes its handle along, perhaps out of the root.
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
      path = `${path}/${checkedName(name)}`
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
    makeUnlessThere(path)
    return fs.openSync(path, DIRECTORY)
  }
}

/** Another thread may make it at the same moment. */
function makeUnlessThere (path: string, mode = 0o700): void {
  try {
    fs.mkdirSync(path, mode)
  } catch (race) {
    if (errnoOf(race) !== 'EEXIST') throw race
  }
}

function notADirectory (path: string, code: string): Error {
  return Object.assign(new Error(`${code}: not a directory, open '${path}'`), { code })
}

/** The name itself. Throws ARCHIVE_ESCAPE for what is not a single one: `..` works below a handle too. */
export function checkedName (name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FileSyncError('ARCHIVE_ESCAPE', 'Refused to look up a name in the archive that is empty, "." or "..", or contains "/" or NUL.')
  }
  return name
}

/**
 * Makes a directory and those above it. For the root itself, before it is opened. Node's own way tries for ever where a
 * file system makes none, such as below /proc.
 */
export function makeRoot (path: string): void {
  try {
    makeUnlessThere(path, 0o755)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    makeRoot(dirname(path))
    makeUnlessThere(path, 0o755)
  }
}

/** Whether anything is at a path; for the root itself, before it is opened. */
export function existsPath (path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** The real path of what exists of a path, with the rest behind it. */
export function realPathOf (path: string): string {
  try {
    return fs.realpathSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    return join(realPathOf(dirname(path)), basename(path))
  }
}
