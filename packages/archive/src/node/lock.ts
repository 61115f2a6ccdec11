import { spawn } from 'node:child_process'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import * as disk from './disk.ts'
import { isHeldElsewhere, lightBeacon } from './lock-beacon.ts'

const LOCK = 'archive.lock'

/** Releases the archive. */
export type Unlock = () => Promise<void>

/** `exclusive`: nobody else. `shared`: nobody who writes; for reading, where the lock may be missing. */
export type LockMode = 'exclusive' | 'shared'

/**
 * Takes the archive for this process. The lock is one of the operating system on an open file in the archive, so it is the
 * same by whatever path the archive is reached, in every container, and it is gone the moment its process is. It needs
 * neither sockets nor hard links on the disk, and a start does not wait for it. On Linux a beacon shows the holder where a file
 * system in user space hides the lock. Throws STATE_IN_USE, and ARCHIVE_UNAVAILABLE if the system
 * cannot lock.
 *
 * @see flock(2); on macOS open(2) with O_EXLOCK takes the same lock; on Windows a share mode of 0, see CreateFileW
 */
export async function lockArchive (beneath: Beneath, mode: LockMode = 'exclusive'): Promise<Unlock> {
  const fd = await takeLock(beneath, mode)
  const release = (): void => { if (fd !== undefined) disk.close(fd) }
  try {
    // Who only reads changes nothing, and may not even be able to ask.
    const putOut = process.platform === 'linux' && mode === 'exclusive' ? await showHolder(beneath) : undefined
    return async () => {
      await putOut?.()
      release()
    }
  } catch (error) {
    release()
    throw error
  }
}

async function showHolder (beneath: Beneath): Promise<() => Promise<void>> {
  const prefix = beneath.open(OWN)
  if (await isHeldElsewhere(prefix)) throw inUse(beneath.root)
  return await lightBeacon(prefix)
}

/** Undefined if there is no file to lock and none may be made. */
async function takeLock (beneath: Beneath, mode: LockMode): Promise<number | undefined> {
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
 * Node has no flock(2), but the lock belongs to the open file that a child process shares: the command of that name takes it
 * and ends, and this process holds it until it closes the file or ends.
 */
async function flock (fd: number, mode: LockMode, root: string): Promise<void> {
  const { code, said } = await new Promise<{ code: number | null, said: string }>((resolve, reject) => {
    const child = spawn('flock', [mode === 'exclusive' ? '-x' : '-s', '-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] })
    let said = ''
    child.once('error', reject)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text })
    child.once('close', code => { resolve({ code, said }) })
  }).catch((cause: unknown) => {
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be locked: the command "flock" cannot be run (${errnoOf(cause)}). ` +
      'It is part of util-linux and of BusyBox; install one of them.', { cause })
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
