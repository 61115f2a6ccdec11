import type { EntryStat } from './entry-stat.ts'

const SEED_LOW = 0x9747b28c
const SEED_HIGH = 0x3c6ef372
const INPUT_BYTES = 24

/**
 * Writes into a record 64 bits that tell a file apart from any other on this disk and stay when it is renamed: device,
 * inode and time of birth, mixed by two lanes of MurmurHash3_x86_32 (Austin Appleby) with different seeds. 0 where there is
 * no inode.
 *
 * The birth time is part of it because an inode number is given to a new file soon after the old one is gone. Where a file
 * system has none, libuv tells the ctime instead: then a file loses its identity when it is renamed, which costs a missed
 * rename and nothing else. The device of the root counts as 0: device numbers may change with every boot, and that must
 * not make every entry of the tree look touched.
 */
export function identify ({ dev, idHalves, halves }: EntryStat, rootDevice: bigint): void {
  if (idHalves[2] === 0 && idHalves[3] === 0) {
    halves[6] = 0
    halves[7] = 0
    return
  }
  const isAtHome = dev === rootDevice
  const low = lane(SEED_LOW, idHalves, isAtHome)
  const high = lane(SEED_HIGH, idHalves, isAtHome)
  halves[6] = low === 0 && high === 0 ? 1 : low
  halves[7] = high
}

function lane (seed: number, words: Uint32Array, isAtHome: boolean): number {
  let hash = seed
  for (let i = 0; i < 6; i++) {
    let word = Math.imul(isAtHome && i < 2 ? 0 : words[i] ?? 0, 0xcc9e2d51)
    word = word << 15 | word >>> 17
    hash ^= Math.imul(word, 0x1b873593)
    hash = hash << 13 | hash >>> 19
    hash = Math.imul(hash, 5) + 0xe6546b64 | 0
  }
  hash ^= INPUT_BYTES
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return hash ^ hash >>> 16
}
