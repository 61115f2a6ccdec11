import * as disk from './disk.ts'

/** Holes consist of whole blocks of this size, which is the block size of most file systems. */
const BLOCK_BYTES = 4096
/** A piece shorter than this is written in full, unless its file is known to have holes. */
const PIECE_BYTES = 64 << 10

let zeros = Buffer.alloc(PIECE_BYTES)

/** A number of zeros, for hashing. */
export function zerosOf (lengthBytes: number): Uint8Array {
  if (zeros.length < lengthBytes) zeros = Buffer.alloc(lengthBytes)
  return zeros.subarray(0, lengthBytes)
}

/** Where bytes go, and whether the file is known to have holes. */
interface WritePlace {
  readonly position: number
  readonly hasHoles: boolean
}

/**
 * Writes bytes into a file and leaves holes for zeros: for a piece that is all zeros, and, if the file has holes already, for each
 * block of zeros within a piece. Returns how many bytes were written. A hole at the end of a file is made by setting its length.
 */
export function writeAround (fd: number, bytes: Uint8Array, { position, hasHoles }: WritePlace): number {
  if (bytes.length >= PIECE_BYTES && isZero(bytes)) return 0
  if (!hasHoles) {
    disk.writeAll(fd, bytes, position)
    return bytes.length
  }
  let written = 0
  for (let at = 0; at < bytes.length;) {
    const end = runEnd(bytes, at)
    const run = bytes.subarray(at, end)
    if (!isZero(run)) {
      disk.writeAll(fd, run, position + at)
      written += run.length
    }
    at = end
  }
  return written
}

/** Returns the end of a run of blocks that are either all zeros or all other content. */
function runEnd (bytes: Uint8Array, start: number): number {
  const isHole = isZero(bytes.subarray(start, start + BLOCK_BYTES))
  for (let at = start + BLOCK_BYTES; at < bytes.length; at += BLOCK_BYTES) {
    if (isZero(bytes.subarray(at, at + BLOCK_BYTES)) !== isHole) return at
  }
  return bytes.length
}

/** Three bytes almost always show that content is not all zeros, so the comparison is rarely made. */
function isZero (bytes: Uint8Array): boolean {
  if (bytes[0] !== 0 || bytes[bytes.length >> 1] !== 0 || bytes.at(-1) !== 0) return false
  return Buffer.compare(bytes, zerosOf(bytes.length)) === 0
}
