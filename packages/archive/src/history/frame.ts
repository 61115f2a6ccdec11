import { equalDigests } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import { BlockReader } from './block.ts'

// Starts each block. It occurs in no listing, so the block that follows a truncated one is found.
const MARK = Uint8Array.of(0xc1, 0xc1, 0x46, 0x53, 0x48, 0x31, 0xc1, 0xc1)
const CHECK_BYTES = 8
const HEAD_BYTES: number = MARK.length + CHECK_BYTES + 4

/** Frames a block, so that readers recognize one that a crash truncated. */
export function frame (body: Uint8Array, hash: HashBytes): Uint8Array {
  const framed = new Uint8Array(HEAD_BYTES + body.length)
  framed.set(MARK)
  framed.set(hash(body).subarray(0, CHECK_BYTES), MARK.length)
  new DataView(framed.buffer).setUint32(HEAD_BYTES - 4, body.length)
  framed.set(body, HEAD_BYTES)
  return framed
}

/** Reads framed blocks; skips those that a crash truncated. */
export function * readFrames (bytes: Uint8Array, hash: HashBytes): Generator<BlockReader, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = findMark(bytes, 0); at !== -1;) {
    const end = at + HEAD_BYTES <= bytes.length ? at + HEAD_BYTES + view.getUint32(at + HEAD_BYTES - 4) : Infinity
    const body = end <= bytes.length ? bytes.subarray(at + HEAD_BYTES, end) : undefined
    const check = bytes.subarray(at + MARK.length, at + MARK.length + CHECK_BYTES)
    if (body === undefined || !equalDigests(hash(body).subarray(0, CHECK_BYTES), check)) {
      at = findMark(bytes, at + 1)
      continue
    }
    yield new BlockReader(body)
    at = findMark(bytes, end)
  }
}

function findMark (bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(MARK[0] ?? 0, from); at !== -1; at = bytes.indexOf(MARK[0] ?? 0, at + 1)) {
    if (MARK.every((byte, i) => bytes[at + i] === byte)) return at
  }
  return -1
}
