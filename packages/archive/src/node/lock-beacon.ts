import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { errnoOf } from '@filesync/protocol'
import * as disk from './disk.ts'

/** The file with the name of the beacon of the process that holds the archive, or held it last. */
const HOLDER = 'holder'
/** Followed by a random name: a file that a process creates to find out whether its archive is that of the holder, or a copy of it. */
const PROBE_PREFIX = 'asked-by.'
const NAME = /^[0-9a-f]{32}$/u
const NAME_LENGTH = 32
/** A holder that is alive but does not answer within this time is assumed to hold the archive. */
const ANSWER_WITHIN_MS = 5_000

/**
 * Whether another process of this machine holds the archive through a path that hides its lock: a file system in user space, such as
 * mergerfs or bindfs, shows the files of another one but does not pass locks on. The process that holds an archive listens on an abstract
 * socket, which has no place in any file system and ends with the process, and stores its name in the archive. A copy of the archive
 * contains the name too, so the holder is asked whether it sees a file that is created here. Only Linux has abstract sockets; each network
 * namespace has its own names.
 */
export async function isHeldElsewhere (prefix: string): Promise<boolean> {
  const holder = readHolder(prefix)
  if (holder === undefined) return false
  const probe = newName()
  disk.close(disk.createAt(prefix, PROBE_PREFIX + probe, 0o600))
  try {
    return await ask(address(holder), probe)
  } finally {
    disk.unlinkAt(prefix, PROBE_PREFIX + probe)
  }
}

/** Starts the beacon of this process; resolves with the function that stops it. The caller must hold the lock. */
export async function startBeacon (prefix: string): Promise<() => Promise<void>> {
  const name = newName()
  const server = createServer(socket => {
    socket.setEncoding('latin1').setTimeout(ANSWER_WITHIN_MS, () => { socket.destroy() })
    socket.once('data', (probe: string) => { socket.end(seesProbe(prefix, probe) ? 'y' : 'n') })
    socket.on('error', () => { socket.destroy() })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address(name), resolve)
  })
  server.unref()
  const close = async (): Promise<void> => { await new Promise<void>(resolve => { server.close(() => { resolve() }) }) }
  try {
    writeHolder(prefix, name)
    return close
  } catch (error) {
    await close()
    throw error
  }
}

function newName (): string {
  return randomBytes(NAME_LENGTH / 2).toString('hex')
}

function address (name: string): string {
  return `\0filesync-archive-${name}`
}

function seesProbe (prefix: string, probe: string): boolean {
  try {
    return NAME.test(probe) && disk.existsAt(prefix, PROBE_PREFIX + probe)
  } catch {
    // The disk of this process is gone, so the other process has another disk, or the same one plugged in again.
    return false
  }
}

async function ask (path: string, probe: string): Promise<boolean> {
  return await new Promise<boolean>(resolve => {
    const socket = connect(path)
    const finish = (isHeld: boolean): void => {
      socket.destroy()
      resolve(isHeld)
    }
    socket.setEncoding('latin1').setTimeout(ANSWER_WITHIN_MS, () => { finish(true) })
    socket.once('connect', () => { socket.write(probe) })
    socket.once('data', (answer: string) => { finish(answer !== 'n') })
    // These mean that nothing listens, or that the listener ended without an answer. After any other error the process is alive.
    socket.once('error', error => { finish(!['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(errnoOf(error))) })
    socket.once('close', () => { finish(false) })
  })
}

function readHolder (prefix: string): string | undefined {
  if (!disk.existsAt(prefix, HOLDER)) return undefined
  const fd = disk.readAt(prefix, HOLDER)
  try {
    const bytes = new Uint8Array(64)
    const name = new TextDecoder('latin1').decode(bytes.subarray(0, disk.readInto(fd, bytes, 0)))
    // A power cut may leave anything in the file; then nobody holds the archive.
    return NAME.test(name) ? name : undefined
  } finally {
    disk.close(fd)
  }
}

function writeHolder (prefix: string, name: string): void {
  const fd = disk.continueAt(prefix, HOLDER)
  try {
    disk.writeAll(fd, new TextEncoder().encode(name), 0)
    disk.truncate(fd, NAME_LENGTH)
  } finally {
    disk.close(fd)
  }
}
