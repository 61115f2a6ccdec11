import { errnoOf } from '@filesync/protocol'
import type { DiskFlushing } from './disk-flushing.ts'
import * as disk from './disk.ts'
import { copyTo } from './whole-file.ts'

type Place = readonly [prefix: string, name: string]

/** What file systems answer that have no hard links, or no more of them. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV'])

/** Gives what stands at a place a second name. False where the file system cannot. */
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
 * Gives a file a second name, in place of what has that name, or makes a copy where the file system cannot.
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
