import { read } from 'node:fs'
import type { Digest, Hasher } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'

const PIECE_BYTES = 1 << 20

/** Feeds the first bytes of an open file to a hasher, without blocking the thread for long. Resolves to how many there were. */
export async function hashStart (fd: number, hasher: Hasher, endBytes: number): Promise<number> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, endBytes)))
  let position = 0
  while (position < endBytes) {
    const length = Math.min(piece.length, endBytes - position)
    const at = position
    const got = await new Promise<number>((resolve, reject) => {
      read(fd, piece, 0, length, at, (error, count) => { if (error === null) resolve(count); else reject(error) })
    })
    if (got === 0) break
    hasher.update(piece.subarray(0, got))
    position += got
  }
  return position
}

/** The digest of an open file; undefined if it does not have that size. */
export async function digestOfSize (fd: number, sizeBytes: number): Promise<Digest | undefined> {
  const hasher = createHasher()
  return await hashStart(fd, hasher, sizeBytes + 1) === sizeBytes ? hasher.digest() : undefined
}
