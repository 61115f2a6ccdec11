/**
 * The inner loop of chunking, for WebAssembly. It finds the same cuts as plainCutFinder in src/gear.ts, which explains the
 * algorithm and its parameters. Memory: the gear table (256 x i32) at 0, the bytes at 1024, then the cuts (i32).
 */
const GEAR: usize = 0
const BYTES: usize = 1024

let minBytes: u32 = 0
let averageBytes: u32 = 0
let maxBytes: u32 = 0
let strictMask: u32 = 0
let looseMask: u32 = 0
let length: u32 = 0
let hash: u32 = 0

export function configure (averageBits: u32, strict: u32, loose: u32): void {
  minBytes = 1 << (averageBits - 2)
  averageBytes = 1 << averageBits
  maxBytes = 1 << (averageBits + 2)
  strictMask = strict
  looseMask = loose
  length = 0
  hash = 0
}

/** Writes the cuts in the first `count` bytes to `cuts`, and returns their number. */
export function push (count: u32, cuts: usize): u32 {
  let found: u32 = 0
  let at: u32 = 0
  while (at < count) {
    if (length < minBytes) {
      const skipped = min(minBytes - length, count - at)
      at += skipped
      length += skipped
      continue
    }
    const isStrict = length < averageBytes
    const mask = isStrict ? strictMask : looseMask
    const end = min(count, at + (isStrict ? averageBytes : maxBytes) - length)
    const start = at
    let h = hash
    let isCut = false
    while (at < end) {
      h = (h << 1) + load<u32>(GEAR + (u32(load<u8>(BYTES + at)) << 2))
      at++
      if ((h & mask) === 0) {
        isCut = true
        break
      }
    }
    hash = h
    length += at - start
    if (isCut || length === maxBytes) {
      store<u32>(cuts + (found << 2), at)
      found++
      length = 0
      hash = 0
    }
  }
  return found
}
