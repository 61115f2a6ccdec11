import * as fs from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { ARCHIVE_ID_FILE, errnoOf, FileSyncError } from '@filesync/protocol'
import { finishDirectoryAt, makeDirectoryAt, PRIVATE_DIRECTORY, removeAt, statAt } from './target-place.ts'
import type { Place } from './target-place.ts'

/** What a restore needs while it runs. No stored file can have this name. */
export const WORK = '.filesync'
export const LOCK = 'lock'
/** The names that a restore gives to what is in it. */
const OWN_NAME = /^(?:lock|made|[0-9a-f]{32}|new-[0-9a-f]{16}|probe-[0-9a-f]{8}[a.]?)$/u

/** Throws USAGE if a directory, which need not exist, is an archive or inside one: files that a server did not store would be in it. */
export function refuseArchive (root: string): void {
  for (let at = existing(root); ; at = dirname(at)) {
    if (fs.existsSync(join(at, WORK, ARCHIVE_ID_FILE))) {
      throw new FileSyncError('USAGE', `${at} is an archive of a FileSync server. Choose another directory to restore to.`)
    }
    if (dirname(at) === at) return
  }
}

/**
 * Makes the work directory, or continues with that of a restore that was cut off. Throws TARGET_UNAVAILABLE if something else has its
 * name: it would be mixed with the files that are arriving.
 */
export function openWork (root: string): void {
  const place: Place = [join(root, '/'), WORK]
  if (!makeDirectoryAt(place)) ensureOwn(place)
  finishDirectoryAt(place, { mode: PRIVATE_DIRECTORY, mtimeNs: undefined })
}

/** Removes the work directory, but nothing in it that a restore did not make. */
export function removeWork (root: string): void {
  const work = join(root, WORK)
  for (const name of fs.readdirSync(work)) if (OWN_NAME.test(name)) removeAt([join(work, '/'), name])
  try {
    fs.rmdirSync(work)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
  }
}

function ensureOwn (place: Place): void {
  const there = statAt(place)
  const isOwn = there?.isDirectory() === true && (process.getuid === undefined || Number(there.uid) === process.getuid())
  const foreign = isOwn ? fs.readdirSync(place.join('')).find(name => !OWN_NAME.test(name)) : undefined
  if (isOwn && foreign === undefined) return
  const what = isOwn ? `holds ${JSON.stringify(foreign)}, which no restore made` : 'belongs to someone else or is no directory'
  throw new FileSyncError('TARGET_UNAVAILABLE', `${place.join('')} ${what}. Move it away, or choose another directory to restore to.`)
}

/** The nearest directory at or above a path that exists, without links. */
function existing (path: string): string {
  try {
    return fs.realpathSync(path)
  } catch (error) {
    if (dirname(path) === path) throw error
    return existing(dirname(path))
  }
}

/** Two processes that write one arriving file would mix their content. Throws STATE_IN_USE. */
export function lockWork (place: Place, root: string): void {
  const own = `${process.pid} ${hostname()}`
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      fs.writeFileSync(place.join(''), own, { flag: 'wx', mode: 0o600 })
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      const holder = fs.readFileSync(place.join(''), 'utf8')
      if (isAlive(holder)) {
        throw new FileSyncError('STATE_IN_USE', `Another process (${holder}) is restoring to ${root}. Wait for it; ` +
          `if it does not run any more, remove ${join(root, WORK, LOCK)}.`)
      }
      removeAt(place)
    }
  }
}

function isAlive (holder: string): boolean {
  const [pid, ...host] = holder.split(' ')
  if (host.join(' ') !== hostname()) return holder !== ''
  if (Number(pid) === process.pid) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
