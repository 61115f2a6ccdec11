import type { Digest, Hasher } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import * as disk from './disk.ts'
import { writeAround } from './holes.ts'

const READ_BYTES = 1 << 18

/** The read buffer of this thread. With a new one for every file, reading a small file took ten times as long. */
let shared: Uint8Array | undefined

/** Feeds a file to a hasher from its start; returns its length. */
export function hashTo (fd: number, hasher: Pick<Hasher, 'update'>): number {
  return readPieces(fd, piece => { hasher.update(piece) })
}

/** The digest of a file, which is read as a whole. Throws errors of the system. */
export function digestAt (prefix: string, name: string): Digest {
  const fd = disk.readAt(prefix, name)
  try {
    return digestOf(fd)
  } finally {
    disk.close(fd)
  }
}

/** The digest of an open file, which is read as a whole. Throws errors of the system. */
export function digestOf (fd: number): Digest {
  const hasher = createHasher()
  hashTo(fd, hasher)
  return hasher.digest()
}

/** The content of a file. */
export function readWhole (prefix: string, name: string): Uint8Array {
  const fd = disk.readAt(prefix, name)
  try {
    const content = new Uint8Array(disk.statOf(fd).sizeBytes)
    let at = 0
    for (let read = -1; at < content.length && read !== 0; at += read) read = disk.readInto(fd, content.subarray(at), at)
    return content.subarray(0, at)
  } finally {
    disk.close(fd)
  }
}

/** Copies the content of a file into an empty one. Holes stay holes. */
export function copyTo (fd: number, copy: number, hasher?: Hasher): void {
  const hasHoles = disk.hasHole(fd)
  let isShort = false
  const sizeBytes = readPieces(fd, (piece, position) => {
    hasher?.update(piece)
    if (writeAround(copy, piece, { position, hasHoles }) < piece.length) isShort = true
  })
  if (isShort) disk.truncate(copy, sizeBytes)
}

/** As {@link copyTo}; returns the digest of what was copied. */
export function copyHashed (fd: number, copy: number): Digest {
  const hasher = createHasher()
  copyTo(fd, copy, hasher)
  return hasher.digest()
}

/** Reads a file from its start, and returns its length. A piece is valid only until the next one. */
function readPieces (fd: number, onPiece: (piece: Uint8Array, position: number) => void): number {
  const buffer = shared ??= new Uint8Array(READ_BYTES)
  for (let position = 0; ;) {
    const read = disk.readInto(fd, buffer, position)
    if (read === 0) return position
    onPiece(buffer.subarray(0, read), position)
    position += read
  }
}
