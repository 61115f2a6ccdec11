const INPUT_BYTES = 24
/** The seeds of the two lanes after eight zero bytes, which once were the device number. */
const SEED_LOW = mix(mix(0x9747b28c, 0), 0)
const SEED_HIGH = mix(mix(0x3c6ef372, 0), 0)

/**
 * Writes 64 bits that identify a file on its file system and survive a rename: inode number and birth time, mixed by two lanes
 * of MurmurHash3_x86_32 (Austin Appleby) with different seeds. 0 if there is no inode.
 *
 * The birth time is included because file systems soon reuse inode numbers. If a file system has no birth time, libuv reports
 * the ctime instead: the file id then changes with a rename, which costs only the detection of that rename. The device number
 * is not included: it can change with every boot, and all files of a disk that is mounted below the source would seem replaced.
 *
 * @param numbers inode and birth time in nanoseconds, each as two halves of 32 bits with the lower first
 * @param into receives the file id as two halves, the lower first
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
