import { createHash, randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileSyncError } from '@filesync/protocol'

/** The longest address of a Unix socket that every system supports. */
const MAX_SOCKET_PATH_BYTES = 103
const NAME = 'control.sock'
/** As long as the name above, so that a path that fits one fits the other. */
const CANDIDATE = /^[0-9a-f]{7}\.sock$/u
/** How often a program tries to start while another one is starting, and the longest pause between. */
const TRIES = 4
const MAX_PAUSE_MS = 100

/** An address that belongs to this process. */
export interface ClaimedAddress {
  /** Gives the address up. */
  release (): Promise<void>
}

/** Where commands reach the program. Throws USAGE if the path is too long for a socket. */
export function controlAddress (stateDir: string): string {
  const absolute = resolve(stateDir)
  const digest = createHash('sha256').update(absolute).digest('hex').slice(0, 24)
  if (process.platform === 'win32') return `\\\\.\\pipe\\control-${digest}`
  const address = join(absolute, 'run', NAME)
  if (Buffer.byteLength(address) <= MAX_SOCKET_PATH_BYTES) return address
  throw new FileSyncError('USAGE', `The path of the state directory ${absolute} is too long for a control socket ` +
    `(${Buffer.byteLength(address)} bytes, at most ${MAX_SOCKET_PATH_BYTES}). Choose a shorter one.`)
}

/**
 * Claims the address for one process: listens on a unique name, checks whether another process listens, and only then renames
 * the socket to the name that commands know. A process that starts meanwhile sees one of the two names and gives way. A fixed
 * name alone would not be enough: two processes that both remove the socket of a crashed one would remove each other's.
 *
 * Throws STATE_IN_USE if another process has it, and STATE_INVALID if the socket cannot be created.
 */
export async function claimAddress (
  stateDir: string, listen: (address: string) => Promise<void>, stop: () => Promise<void>,
): Promise<ClaimedAddress> {
  const address = controlAddress(stateDir)
  if (process.platform === 'win32') return await claimPipe(address, stateDir, listen)
  const directory = await openRunDirectory(stateDir)
  for (let tries = 1; ; tries++) {
    const candidate = join(directory, `${randomBytes(4).toString('hex').slice(0, 7)}.sock`)
    try {
      await listen(candidate)
      await chmod(candidate, 0o600)
      const other = await findOther(directory, candidate)
      if (other === undefined) {
        await rename(candidate, address)
        return { release: async () => { await rm(address, { force: true }) } }
      }
      if (other === NAME || tries === TRIES) throw inUse(stateDir)
      await stop()
    } catch (cause) {
      await stop()
      if (cause instanceof FileSyncError) throw cause
      throw new FileSyncError('STATE_INVALID', `The control socket ${candidate} cannot be opened: ${(cause as Error).message}.`, { cause })
    }
    // Both gave way; after random pauses, one of the two is first.
    await sleep(Math.random() * MAX_PAUSE_MS)
  }
}

// The system gives a pipe to one process, and removes it when the process ends.
async function claimPipe (address: string, stateDir: string, listen: (address: string) => Promise<void>): Promise<ClaimedAddress> {
  try {
    await listen(address)
  } catch (cause) {
    throw inUse(stateDir, cause)
  }
  return { release: async () => { /* ends with the process */ } }
}

/** The directory of the socket, private to this user: others could connect to a socket before its chmod. */
async function openRunDirectory (stateDir: string): Promise<string> {
  const directory = join(resolve(stateDir), 'run')
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    if (!(await lstat(directory)).isDirectory()) throw new Error('it is not a directory')
    await chmod(directory, 0o700)
    return directory
  } catch (cause) {
    throw new FileSyncError('STATE_INVALID', `The directory ${directory} cannot be used: ${(cause as Error).message}.`, { cause })
  }
}

/** Another program that listens here. The name that commands know is checked last, since a starting program moves to it. */
async function findOther (directory: string, own: string): Promise<string | undefined> {
  const candidates = (await readdir(directory)).filter(name => CANDIDATE.test(name) && join(directory, name) !== own)
  let starting: string | undefined
  for (const name of candidates) {
    const path = join(directory, name)
    if (await answers(path)) starting = name
    // Each name is used once, so a socket that does not answer belongs to a process that has ended.
    else await rm(path, { force: true })
  }
  return await answers(join(directory, NAME)) ? NAME : starting
}

async function answers (address: string): Promise<boolean> {
  return await new Promise(resolveAnswer => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolveAnswer(true)
    })
    // Any other error, such as a full queue, means that a process is listening.
    socket.once('error', (error: NodeJS.ErrnoException) => { resolveAnswer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT') })
  })
}

function inUse (stateDir: string, cause?: unknown): FileSyncError {
  return new FileSyncError('STATE_IN_USE', `Another program is running with the state directory ${stateDir}. ` +
    'Stop it first, or choose another state directory.', { cause })
}
