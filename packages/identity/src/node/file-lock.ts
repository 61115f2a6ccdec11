import { randomBytes } from 'node:crypto'
import { link, open, readFile, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { withWriteErrors } from './private-file.ts'

/** Changes take milliseconds; a lock held for this long is broken. */
const GIVE_UP_MS = 10_000
const RETRY_MS = 5
/** Whether a process on another machine or container is alive cannot be checked, so its lock expires. */
const STALE_MS = 60_000

const START_MS = Date.now() - process.uptime() * 1000

/**
 * Runs `work` while holding a lock file. A lock left by a process that has died is broken. Throws STATE_IN_USE if the lock is
 * not released, and STATE_INVALID if the lock file cannot be written.
 */
export async function withFileLock <R>(path: string, work: () => Promise<R>): Promise<R> {
  const owner = `${String(process.pid)} ${hostname()} ${randomBytes(8).toString('hex')}\n`
  const deadlineMs = systemClock.monotonicMs() + GIVE_UP_MS
  while (!await tryLock(path, owner)) {
    if (await breakIfStale(path)) continue
    if (systemClock.monotonicMs() >= deadlineMs) throw inUse(path)
    // Not with the clock: its timers do not keep the process alive, so a command could end while it waits.
    await delay(RETRY_MS)
  }
  try {
    return await work()
  } finally {
    await unlink(path)
  }
}

async function tryLock (path: string, owner: string): Promise<boolean> {
  // Written to another file and linked, so that a lock always contains its owner.
  const aside = `${path}.${owner.trim().split(' ').at(-1) ?? ''}`
  return await withWriteErrors(path, async () => {
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
 * Removes the lock if it still belongs to this owner. Of several processes that find it stale, one can create the marker named
 * after the owner. The marker is a link to the current lock file, so its content shows whether the lock has a new owner.
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
  // Process ids are reused, in a container at once: a lock older than this process is not its own.
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
  return new FileSyncError('STATE_IN_USE', `Another process has held the lock ${path} for more than ${GIVE_UP_MS / 1000} s. ` +
    'If no filesync program is running, remove that file.')
}
