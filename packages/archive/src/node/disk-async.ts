import * as fs from 'node:fs'
import { errnoOf } from '@filesync/protocol'
import { describeStat, O_DIRECT } from './disk.ts'
import type { Stat } from './disk.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

/** Describes what is at a path, without following a link. Like the functions below, it does not block this thread if the disk hangs. */
export async function statPath (path: string): Promise<Stat> {
  return describeStat(await fs.promises.lstat(path, { bigint: true }))
}

/** Reads the first bytes of a file, as many as fit into `bytes`. */
export async function readBeginning (path: string, bytes: Uint8Array): Promise<Uint8Array> {
  return await readStart(path, bytes, O_RDONLY)
}

/** As {@link readBeginning}, bypassing the page cache, into aligned memory; undefined if the cache cannot be bypassed. */
export async function readBeginningDirect (path: string, bytes: Uint8Array): Promise<Uint8Array | undefined> {
  if (O_DIRECT === undefined) return undefined
  try {
    return await readStart(path, bytes, O_RDONLY | O_DIRECT)
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    return undefined
  }
}

async function readStart (path: string, bytes: Uint8Array, flags: number): Promise<Uint8Array> {
  // The name may have become a pipe or a link.
  const file = await fs.promises.open(path, flags | O_NOFOLLOW | O_NONBLOCK)
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Reads from an open file, and returns the number of bytes; 0 at the end. For files outside the archive. */
export async function readAsync (fd: number, bytes: Uint8Array, position: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    fs.read(fd, bytes, 0, bytes.length, position, (error, count) => { if (error === null) resolve(count); else reject(error) })
  })
}
