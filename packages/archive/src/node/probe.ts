import { randomBytes } from 'node:crypto'
import { errnoOf } from '@filesync/protocol'
import type { StoreTraits } from '../store/content-store.ts'
import { probeTimeRange } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import type { Beneath } from './beneath.ts'
import { STAGING } from './disk-places.ts'
import * as disk from './disk.ts'
import { tryLink } from './hard-link.ts'

/** Errors of file systems that have no symbolic links, and of systems that forbid them. */
const NO_LINKS = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'])

/** Finds out which names, times and links the file system of the archive can distinguish and hold, by trying some in staging. */
export function probeTraits (beneath: Beneath): StoreTraits {
  const prefix = beneath.open(STAGING, 'make')
  const stem = `probe-${randomBytes(4).toString('hex')}`
  const meets = (made: string, looked: string): boolean => tryName(prefix, stem + made, () => disk.existsAt(prefix, stem + looked)) === true
  const holds = (name: string): boolean => tryName(prefix, stem + name, () => disk.namesIn(prefix).includes(stem + name)) === true
  return {
    foldsNames: meets('a', 'A') || meets('\u00e9', 'e\u0301'),
    holdsLinks: holdsLinks(prefix, `${stem}-link`),
    linksFiles: tryName(prefix, `${stem}-file`, () => linksFiles(prefix, `${stem}-file`)) === true,
    windowsNames: process.platform === 'win32' || !holds(':') || !holds('.'),
    times: probeTimes(prefix, `${stem}-time`),
  }
}

/** Finds out which times a file system can hold, by trying some on a new file. */
export function probeTimes (prefix: string, name: string): TimeRange {
  const fd = disk.createAt(prefix, name, 0o600)
  try {
    return probeTimeRange(timeNs => {
      disk.touch(fd, timeNs)
      return disk.statOf(fd).mtimeNs
    })
  } finally {
    disk.close(fd)
    disk.unlinkAt(prefix, name)
  }
}

/** Windows needs a privilege for links, and turns slashes in targets around. */
function holdsLinks (prefix: string, name: string): boolean {
  const target = `../${name}/x`
  try {
    disk.symlinkAt(prefix, name, target)
  } catch (error) {
    if (NO_LINKS.has(errnoOf(error))) return false
    throw error
  }
  try {
    return disk.targetAt(prefix, name) === target
  } finally {
    disk.unlinkAt(prefix, name)
  }
}

function linksFiles (prefix: string, name: string): boolean {
  const second = `${name}-2`
  if (!tryLink([prefix, name], [prefix, second])) return false
  disk.unlinkAt(prefix, second)
  return true
}

function tryName<T> (prefix: string, name: string, look: () => T): T | undefined {
  try {
    disk.close(disk.createAt(prefix, name, 0o600))
  } catch (error) {
    if (['EINVAL', 'EILSEQ', 'ENOENT', 'EACCES', 'EEXIST'].includes(errnoOf(error))) return undefined
    throw error
  }
  try {
    return look()
  } finally {
    disk.unlinkAt(prefix, name)
  }
}
