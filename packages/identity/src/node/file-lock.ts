import { randomBytes } from 'node:crypto'
import { link, open, readFile, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { writing } from './private-file.ts'

/** Changes take milliseconds; who waits this long waits for something that is broken. */
const GIVE_UP_MS = 10_000
const RETRY_MS = 5
/** A lock of another machine or container cannot be looked up, only outlived. */
const STALE_MS = 60_000

const START_MS = Date.now() - process.uptime() * 1000

/**
 * Runs `work` while no other process runs its own under the same lock file. A lock left behind by a process that died is
 * broken. Throws STATE_IN_USE when the lock does not come free, and STATE_INVALID where it cannot be written.
 */
export async function withFileLock <R>(path: string, work: () => Promise<R>): Promise<R> {
  const owner = `${String(process.pid)} ${hostname()} ${randomBytes(8).toString('hex')}\n`
  const deadlineMs = systemClock.monotonicMs() + GIVE_UP_MS
  while (!await take(path, owner)) {
    if (await breakIfStale(path)) continue
    if (systemClock.monotonicMs() >= deadlineMs) throw inUse(path)
    // Not on the clock, whose timers let a command end while it still waits.
    await delay(RETRY_MS)
  }
  try {
    return await work()
  } finally {
    await unlink(path)
  }
}

async function take (path: string, owner: string): Promise<boolean> {
  // Written aside and linked, so that a lock that is there always says whose it is.
  const aside = `${path}.${owner.trim().split(' ').at(-1) ?? ''}`
  return await writing(path, async () => {
    const file = await open(aside, 'wx', 0o600)
    try {
      await file.writeFile(owner).finally(async () => { await file.close() })
      await link(aside, path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    } finally {
      await unlink(aside)
    }
  })
}

async function breakIfStale (path: string): Promise<boolean> {
  try {
    const owner = await readFile(path, 'utf8')
    if (!isStale(owner, (await stat(path)).mtimeMs, systemClock.nowMs())) return false
    return await breakLock(path, owner)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true
    throw error
  }
}

/**
 * Removes the lock of this very owner. Of several who find it stale, one gets the marker that is named after the owner;
 * the marker is a link to what is the lock at that moment, so it shows when the lock has changed hands meanwhile.
 */
async function breakLock (path: string, owner: string): Promise<boolean> {
  const marker = `${path}.${owner.trim().split(' ').at(-1) ?? ''}.broken`
  try {
    await link(path, marker)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
  try {
    if (await readFile(marker, 'utf8') === owner) await unlink(path)
    return true
  } finally {
    await unlink(marker)
  }
}

function isStale (owner: string, takenMs: number, nowMs: number): boolean {
  const [pid, host] = owner.split(' ')
  if (host !== hostname()) return nowMs - takenMs > STALE_MS
  // The number of a process comes back, in a container at once: a lock older than this process is not its own.
  if (Number(pid) === process.pid) return takenMs < START_MS
  return !isAlive(Number(pid))
}

function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}

function inUse (path: string): FileSyncError {
  return new FileSyncError('STATE_IN_USE', `Another process has been changing the state for too long, as ${path} shows. ` +
    'If no filesync program runs, remove that file.')
}
