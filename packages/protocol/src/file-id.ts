const INPUT_BYTES = 24
/** The seeds of the two lanes after eight bytes of zero, where the number of a device was once mixed in. */
const SEED_LOW = mix(mix(0x9747b28c, 0), 0)
const SEED_HIGH = mix(mix(0x3c6ef372, 0), 0)

/**
 * Writes 64 bits that tell a file apart from the others of its file system and stay when it is renamed: inode and time of
 * birth, mixed by two lanes of MurmurHash3_x86_32 (Austin Appleby) with different seeds. 0 where there is no inode.
 *
 * The birth time is part of it because an inode number is given to a new file soon after the old one is gone. Where a file
 * system has none, libuv gives the ctime instead: then a file loses its file id when it is renamed, which costs a missed
 * rename and nothing else. The device is not part of it: its number may change with every boot, and all files of a disk that
 * is mounted below the source would look exchanged.
 *
 * @param numbers inode and birth time in nanoseconds, each as two halves of 32 bits with the lower first
 * @param into takes the file id as two halves, the lower first
 */
export function writeFileId (numbers: Uint32Array, into: Uint32Array): void {
  if (numbers[0] === 0 && numbers[1] === 0) {
    into[0] = 0
    into[1] = 0
    return
  }
  const low = lane(SEED_LOW, numbers)
  const high = lane(SEED_HIGH, numbers)
  into[0] = low === 0 && high === 0 ? 1 : low
  into[1] = high
}

function lane (seed: number, numbers: Uint32Array): number {
  let hash = seed
  for (let i = 0; i < 4; i++) hash = mix(hash, numbers[i] ?? 0)
  hash ^= INPUT_BYTES
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return hash ^ hash >>> 16
}

function mix (hash: number, input: number): number {
  let word = Math.imul(input, 0xcc9e2d51)
  word = word << 15 | word >>> 17
  const mixed = hash ^ Math.imul(word, 0x1b873593)
  return Math.imul(mixed << 13 | mixed >>> 19, 5) + 0xe6546b64 | 0
}
