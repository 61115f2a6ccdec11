import { errnoOf } from '@filesync/protocol'
import type { DiskFlushing } from './disk-flushing.ts'
import * as disk from './disk.ts'
import { copyTo } from './whole-file.ts'

type Place = readonly [prefix: string, name: string]

/** Errors of file systems that have no hard links, or cannot make another one for this file. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV'])

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
