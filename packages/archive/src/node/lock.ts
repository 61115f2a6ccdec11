import { spawn } from 'node:child_process'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import * as disk from './disk.ts'
import { isHeldElsewhere, startBeacon } from './lock-beacon.ts'

const LOCK = 'archive.lock'

/** Releases the archive. */
export type Unlock = () => Promise<void>

/** `exclusive`: no other process. `shared`: no process that writes; for reading, when the lock file may be missing. */
export type LockMode = 'exclusive' | 'shared'

/**
 * Locks the archive for this process. The operating system's lock on an open file in the archive is the same whatever path leads to
 * the archive, in every container, and is released the moment its process ends. It needs neither sockets nor hard links on the disk,
 * and does not delay the start. On Linux a beacon shows the holder if a file system in user space hides the lock. Throws
 * STATE_IN_USE, and ARCHIVE_UNAVAILABLE if the system cannot lock.
 *
 * @see flock(2); on macOS open(2) with O_EXLOCK takes the same lock; on Windows a share mode of 0, see CreateFileW
 */
export async function lockArchive (beneath: Beneath, mode: LockMode = 'exclusive'): Promise<Unlock> {
  const fd = await acquireLock(beneath, mode)
  const release = (): void => { if (fd !== undefined) disk.close(fd) }
  try {
    // A process that only reads changes nothing, and may not be able to create the probe file.
    const stopBeacon = process.platform === 'linux' && mode === 'exclusive' ? await announceHolder(beneath) : undefined
    return async () => {
      await stopBeacon?.()
      release()
    }
  } catch (error) {
    release()
    throw error
  }
}

async function announceHolder (beneath: Beneath): Promise<() => Promise<void>> {
  const prefix = beneath.open(OWN)
  if (await isHeldElsewhere(prefix)) throw inUse(beneath.root)
  return await startBeacon(prefix)
}

/** Undefined if there is no lock file and none may be created. */
async function acquireLock (beneath: Beneath, mode: LockMode): Promise<number | undefined> {
  const prefix = beneath.open(OWN, mode === 'exclusive' ? 'make' : 'existing')
  if (mode === 'shared' && !disk.existsAt(prefix, LOCK)) return undefined
  if (process.platform !== 'linux') {
    try {
      return disk.openLockedAt(prefix, LOCK, mode)
    } catch (error) {
      if (['EAGAIN', 'EWOULDBLOCK', 'EBUSY'].includes(errnoOf(error))) throw inUse(beneath.root)
      throw error
    }
  }
  const fd = mode === 'exclusive' ? disk.continueAt(prefix, LOCK) : disk.readAt(prefix, LOCK)
  try {
    await flock(fd, mode, beneath.root)
    return fd
  } catch (error) {
    disk.close(fd)
    throw error
  }
}

/**
 * Node has no flock(2), but the lock belongs to the open file, which a child process shares: the command flock takes the lock and
 * exits, and this process keeps it until it closes the file or ends.
 */
async function flock (fd: number, mode: LockMode, root: string): Promise<void> {
  const { code, said } = await new Promise<{ code: number | null, said: string }>((resolve, reject) => {
    const child = spawn('flock', [mode === 'exclusive' ? '-x' : '-s', '-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] })
    let said = ''
    child.once('error', reject)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text })
    child.once('close', code => { resolve({ code, said }) })
  }).catch((cause: unknown) => {
    const message = `The archive ${root} cannot be locked: the command "flock" cannot be run (${errnoOf(cause)}). ` +
      'It is part of util-linux and of BusyBox; install one of them.'
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', message, { cause })
  })
  if (code === 0) return
  if (code === 1 && said === '') throw inUse(root)
  const why = said.trim() || `flock exited with ${String(code)}`
  throw new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be locked against a second server: ${why}. ` +
    'Its file system probably does not support locks (flock). Move the archive to a disk whose file system does.')
}

function inUse (root: string): FileSyncError {
  return new FileSyncError('STATE_IN_USE', `Another server is using the archive ${root}. Stop that server first, or use another archive.`)
}
