import * as fs from 'node:fs'
import { errnoOf } from '@filesync/protocol'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const IS_WINDOWS = process.platform === 'win32'

/** The mode of a directory while it is filled, and of a file while it arrives: only the user may see them. */
export const PRIVATE_DIRECTORY = 0o700
const PRIVATE_FILE = 0o600

/** File systems without hard links, or that cannot make another one for this file. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV', 'EACCES'])

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

/** As {@link finishFile}, for a directory by its name. A link that has taken its place is not followed. */
export function finishDirectoryAt ([prefix, name]: Place, state: { readonly mode: number, readonly mtimeNs: bigint | undefined }): void {
  if (IS_WINDOWS) {
    if (state.mtimeNs !== undefined) fs.lutimesSync(prefix + name, secondsOf(state.mtimeNs), secondsOf(state.mtimeNs))
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
  return fs.readlinkSync(prefix + name)
}

/**
 * Moves what is finished to its place. Without `overwrite` nothing is ever replaced, not even what appeared a moment ago; returns
 * false if something is there. With it a file or link there is replaced, but never a directory.
 */
export function moveInPlace (from: Place, to: Place, overwrite: boolean): boolean {
  if (!overwrite) {
    try {
      fs.linkSync(from[0] + from[1], to[0] + to[1])
      fs.unlinkSync(from[0] + from[1])
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      if (!NO_LINKS.has(errnoOf(error))) throw error
      // Without hard links a moment is left in which something could appear there.
      if (statAt(to) !== undefined) return false
    }
  }
  try {
    fs.renameSync(from[0] + from[1], to[0] + to[1])
    return true
  } catch (error) {
    if (['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) || statAt(to)?.isDirectory() === true) return false
    throw error
  }
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

export function removeAt ([prefix, name]: Place): void {
  fs.rmSync(prefix + name, { force: true })
}

/** Node takes a negative number to mean the present time, but a string literally. */
function secondsOf (timeNs: bigint): number | string {
  const seconds = Number(timeNs) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}
