import { randomBytes } from 'node:crypto'
import { errnoOf } from '@filesync/protocol'
import type { DiskFlushing } from './disk-flushing.ts'
import * as disk from './disk.ts'
import { copyTo } from './whole-file.ts'

type Place = readonly [prefix: string, name: string]

/** Errors of file systems without hard links, or that cannot make another one for this file. EISDIR comes from FAT and exFAT on Windows. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV', 'EISDIR'])

/** Gives what is at a place a second name. Returns false if the file system cannot. */
export function tryLink (from: Place, to: Place): boolean {
  try {
    disk.linkAt(from[0], from[1], to)
    return true
  } catch (error) {
    if (NO_LINKS.has(errnoOf(error))) return false
    throw error
  }
}

/**
 * Whether a symbolic link itself can get a second name in the file system of a prefix. On macOS the file that it points to gets one,
 * wherever that is.
 */
export function linksSymlinks (prefix: string): boolean {
  const name = `probe-${randomBytes(4).toString('hex')}`
  try {
    // To nothing, so that nothing outside can get a name here.
    disk.symlinkAt(prefix, name, `${name}-nowhere`)
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return false
  }
  try {
    const second = [prefix, `${name}-2`] as const
    if (!tryLink([prefix, name], second)) return false
    disk.unlinkAt(...second)
    return true
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    return false
  } finally {
    disk.unlinkAt(prefix, name)
  }
}

/**
 * Gives a file a second name, replacing what has that name, or copies it if the file system has no hard links.
 *
 * @param fd the file, open for reading
 */
export function linkOrCopy (fd: number, [from, to]: readonly [Place, Place], flushing: DiskFlushing): void {
  removeAt(to)
  if (tryLink(from, to)) return
  copyAt(fd, to, { ...disk.statOf(fd), flushing })
}

export interface CopyOptions {
  readonly mode: number
  readonly mtimeNs: bigint
  readonly flushing: DiskFlushing
}

/** Copies an open file to a name that is not taken. If there is no room for all of it, nothing is left. */
export function copyAt (fd: number, to: Place, { mode, mtimeNs, flushing }: CopyOptions): void {
  const copy = disk.createAt(to[0], to[1], 0o600)
  try {
    copyTo(fd, copy)
    disk.setMode(copy, mode)
    disk.touch(copy, mtimeNs)
    flushing.written(copy)
  } catch (error) {
    disk.unlinkAt(to[0], to[1])
    throw error
  } finally {
    disk.close(copy)
  }
}

export function removeAt ([prefix, name]: Place): void {
  if (disk.existsAt(prefix, name)) disk.unlinkAt(prefix, name)
}

/** Identifies a file among all names. */
export function inodeKey ({ device, inode }: Pick<disk.Stat, 'device' | 'inode'>): string {
  return `${String(device)}:${String(inode)}`
}
