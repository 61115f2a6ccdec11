import { createHash, randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import { HOLDS_HANDLES } from './beneath.ts'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import * as disk from './disk.ts'

const LOCK = 'lock'

/** Releases the archive. */
export type Unlock = () => Promise<void>

/**
 * Takes the archive for this process. The lock is a socket that is listened on: it dies with its process, however that
 * ends, and answers for it across containers that share the disk. Throws STATE_IN_USE.
 */
export async function lockArchive (beneath: Beneath): Promise<Unlock> {
  if (!HOLDS_HANDLES) return await lockByName(beneath.root)
  const prefix = beneath.open(OWN, 'make')
  const own = `${LOCK}.${randomBytes(6).toString('hex')}`
  const server = await listen(prefix + own)
  try {
    for (;;) {
      if (takeName(prefix, own)) return async () => { await release(server, [prefix, own]) }
      const holder = disk.statAt(prefix, LOCK)
      if (holder === undefined) continue
      if (await answers(prefix + LOCK)) throw inUse(beneath.root)
      clearDead(prefix, holder)
    }
  } catch (error) {
    await close(server)
    throw error
  }
}

function takeName (prefix: string, own: string): boolean {
  try {
    disk.linkAt(prefix, own, [prefix, LOCK])
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

// Two starts may find the same dead lock: whoever moves a live one away by mistake puts it back.
function clearDead (prefix: string, dead: disk.Stat): void {
  const aside = `${LOCK}.dead.${randomBytes(6).toString('hex')}`
  try {
    disk.renameAt(prefix, LOCK, [prefix, aside])
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  if (disk.statAt(prefix, aside)?.inode !== dead.inode) takeBack(prefix, aside)
  disk.unlinkAt(prefix, aside)
}

function takeBack (prefix: string, aside: string): void {
  disk.linkAt(prefix, aside, [prefix, LOCK])
}

async function release (server: Server, [prefix, own]: readonly [string, string]): Promise<void> {
  const held = disk.statAt(prefix, LOCK)
  if (held !== undefined && held.inode === disk.statAt(prefix, own)?.inode) disk.unlinkAt(prefix, LOCK)
  await close(server)
}

async function lockByName (root: string): Promise<Unlock> {
  const name = `filesync-${createHash('sha256').update(root).digest('hex').slice(0, 32)}`
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : `${tmpdir()}/${name}.sock`
  if (await answers(path)) throw inUse(root)
  if (process.platform !== 'win32' && disk.existsAt(`${tmpdir()}/`, `${name}.sock`)) disk.unlinkAt(`${tmpdir()}/`, `${name}.sock`)
  const server = await listen(path)
  return async () => { await close(server) }
}

async function listen (path: string): Promise<Server> {
  const server = createServer(socket => { socket.destroy() })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  server.unref()
  return server
}

async function answers (path: string): Promise<boolean> {
  return await new Promise<boolean>((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', error => {
      if (['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(error))) resolve(false)
      else reject(error)
    })
  })
}

async function close (server: Server): Promise<void> {
  await new Promise<void>(resolve => { server.close(() => { resolve() }) })
}

function inUse (root: string): FileSyncError {
  return new FileSyncError('STATE_IN_USE', `Another server uses the archive ${root}. Stop it first, or give this one an archive of its own.`)
}
