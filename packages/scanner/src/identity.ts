import type { EntryStat } from './entry-stat.ts'

const SEED_LOW = 0x9747b28c
const SEED_HIGH = 0x3c6ef372

const input = new BigUint64Array(3)
const inputWords = new Uint32Array(input.buffer)
const output = new BigUint64Array(1)
const outputWords = new Uint32Array(output.buffer)

/**
 * 64 bits that tell a file apart from any other on this disk and stay when it is renamed: device, inode and time of
 * birth, mixed by two lanes of MurmurHash3_x86_32 (Austin Appleby) with different seeds. 0 where there is no inode.
 *
 * The birth time is part of it because an inode number is given to a new file soon after the old one is gone. Where a file
 * system has none, libuv tells the ctime instead: then a file loses its identity when it is renamed, which costs a missed
 * rename and nothing else. The device of the root counts as 0: device numbers may change with every boot, and that must
 * not make every entry of the tree look touched.
 */
export function fileIdentity (stat: EntryStat, rootDevice: bigint): bigint {
  if (stat.ino === 0n) return 0n
  input[0] = stat.dev === rootDevice ? 0n : stat.dev
  input[1] = stat.ino
  input[2] = stat.birthtimeNs
  outputWords[0] = lane(SEED_LOW)
  outputWords[1] = lane(SEED_HIGH)
  const identity = output[0]
  return identity === undefined || identity === 0n ? 1n : identity
}

function lane (seed: number): number {
  let hash = seed
  for (let i = 0; i < 6; i++) {
    let word = Math.imul(inputWords[i] ?? 0, 0xcc9e2d51)
    word = word << 15 | word >>> 17
    hash ^= Math.imul(word, 0x1b873593)
    hash = hash << 13 | hash >>> 19
    hash = Math.imul(hash, 5) + 0xe6546b64 | 0
  }
  hash ^= 24
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return hash ^ hash >>> 16
}
