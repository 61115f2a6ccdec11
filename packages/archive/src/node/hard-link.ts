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
  if (disk.existsAt(to[0], to[1])) disk.unlinkAt(to[0], to[1])
  if (tryLink(from, to)) return
  const { mode, mtimeNs } = disk.statOf(fd)
  const copy = disk.createAt(to[0], to[1], mode)
  try {
    copyTo(fd, copy)
    disk.touch(copy, mtimeNs)
    flushing.written(copy)
  } finally {
    disk.close(copy)
  }
}
