import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { errnoOf } from '@filesync/protocol'
import * as disk from './disk.ts'

/** Names the beacon of the process that has the archive, or had it last. */
const HOLDER = 'holder'
/** Before a random name: the file that a process makes to find out whether it sees the archive of the holder, or a copy of it. */
const QUESTION = 'asked-by.'
const NAME = /^[0-9a-f]{32}$/u
const NAME_LENGTH = 32
/** A holder that is alive and does not answer within this time has the archive. */
const ANSWER_WITHIN_MS = 5_000

/**
 * Whether another process of this machine has the archive by a way that hides its lock: a file system in user space, such as mergerfs
 * or bindfs, shows the files of another one and does not pass locks on. Whoever has an archive listens on a socket that has no place in
 * any file system, and leaves its name in the archive; the socket goes with the process. A copy of the archive brings the name along,
 * so the holder is asked whether it sees a file that is made here. Linux alone has such sockets, one set of names for each network
 * namespace.
 */
export async function isHeldElsewhere (prefix: string): Promise<boolean> {
  const holder = readHolder(prefix)
  if (holder === undefined) return false
  const question = newName()
  disk.close(disk.createAt(prefix, QUESTION + question, 0o600))
  try {
    return await ask(address(holder), question)
  } finally {
    disk.unlinkAt(prefix, QUESTION + question)
  }
}

/** Lights the beacon of this process; resolves with the function that puts it out. To be called with the lock taken. */
export async function lightBeacon (prefix: string): Promise<() => Promise<void>> {
  const name = newName()
  const server = createServer(socket => {
    socket.setEncoding('latin1').setTimeout(ANSWER_WITHIN_MS, () => { socket.destroy() })
    socket.once('data', (question: string) => { socket.end(sees(prefix, question) ? 'y' : 'n') })
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

function sees (prefix: string, question: string): boolean {
  try {
    return NAME.test(question) && disk.existsAt(prefix, QUESTION + question)
  } catch {
    // Its disk is gone, so what somebody else has is another one, or the same plugged in again.
    return false
  }
}

async function ask (path: string, question: string): Promise<boolean> {
  return await new Promise<boolean>(resolve => {
    const socket = connect(path)
    const settle = (isHeld: boolean): void => {
      socket.destroy()
      resolve(isHeld)
    }
    socket.setEncoding('latin1').setTimeout(ANSWER_WITHIN_MS, () => { settle(true) })
    socket.once('connect', () => { socket.write(question) })
    socket.once('data', (answer: string) => { settle(answer !== 'n') })
    // Nobody listens, or whoever did ended without an answer; any other error comes of a process that lives.
    socket.once('error', error => { settle(!['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(errnoOf(error))) })
    socket.once('close', () => { settle(false) })
  })
}

function readHolder (prefix: string): string | undefined {
  if (!disk.existsAt(prefix, HOLDER)) return undefined
  const fd = disk.readAt(prefix, HOLDER)
  try {
    const bytes = new Uint8Array(64)
    const name = new TextDecoder('latin1').decode(bytes.subarray(0, disk.readInto(fd, bytes, 0)))
    // A power cut may leave anything in it; nobody has the archive then.
    return NAME.test(name) ? name : undefined
  } finally {
    disk.close(fd)
  }
}

function writeHolder (prefix: string, name: string): void {
  const fd = disk.continueAt(prefix, HOLDER)
  try {
    disk.writeAll(fd, new TextEncoder().encode(name), 0)
    disk.cutTo(fd, NAME_LENGTH)
  } finally {
    disk.close(fd)
  }
}
