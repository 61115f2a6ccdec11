/**
 * Where chunks end: the gear rolling hash with normalized chunking and minimum skip of FastCDC (W. Xia et al., "FastCDC:
 * a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication", USENIX ATC 2016; "The Design of Fast
 * Content-Defined Chunking for Data Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020). The hash has 32 bits
 * instead of 64, so that plain JavaScript computes the same; its masks take the highest bits, which see the most bytes.
 */
export interface CutFinder {
  /**
   * Positions in these bytes directly after the last byte of each chunk that ends in them, in order. Earlier bytes count:
   * the chunks do not depend on the pieces in which bytes come.
   */
  push (bytes: Uint8Array): readonly number[]
  /** Forgets earlier bytes: the next byte starts a chunk. */
  restart (): void
}

/** Chunks have about `1 << averageBits` bytes, at least a quarter and at most four times that. */
export interface ChunkSizes {
  readonly minBytes: number
  readonly averageBytes: number
  readonly maxBytes: number
  /** A chunk ends where the hash has no bit of the mask: the strict mask below the average length, the loose one above. */
  readonly strictMask: number
  readonly looseMask: number
}

/** Bits by which the masks differ from the average: level 2 of the 2020 paper. */
const NORMALIZATION = 2

export function chunkSizes (averageBits: number): ChunkSizes {
  return {
    minBytes: 2 ** (averageBits - 2),
    averageBytes: 2 ** averageBits,
    maxBytes: 2 ** (averageBits + 2),
    strictMask: -1 << (32 - averageBits - NORMALIZATION),
    looseMask: -1 << (32 - averageBits + NORMALIZATION),
  }
}

/**
 * 256 random numbers, one per byte value, that both ends must share: the first outputs of SplitMix32 from the seed
 * 0x66737963. (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with the
 * 32-bit finaliser of MurmurHash3.)
 */
export const GEAR: Int32Array<ArrayBuffer> = gearTable()

function gearTable (): Int32Array<ArrayBuffer> {
  const table = new Int32Array(256)
  let state = 0x66737963
  for (let i = 0; i < 256; i++) {
    state = (state + 0x9e3779b9) | 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    table[i] = mixed ^ (mixed >>> 16)
  }
  return table
}

/** A cut finder in plain JavaScript; the WebAssembly of assembly/gear.ts finds the same cuts faster. */
export function plainCutFinder (averageBits: number): CutFinder {
  const { minBytes, averageBytes, maxBytes, strictMask, looseMask } = chunkSizes(averageBits)
  let length = 0
  let hash = 0
  return {
    push (bytes) {
      const cuts: number[] = []
      let at = 0
      while (at < bytes.length) {
        if (length < minBytes) {
          const skipped = Math.min(minBytes - length, bytes.length - at)
          at += skipped
          length += skipped
          continue
        }
        const isStrict = length < averageBytes
        const mask = isStrict ? strictMask : looseMask
        const start = at
        const end = Math.min(bytes.length, at + (isStrict ? averageBytes : maxBytes) - length)
        let isCut = false
        while (at < end && !isCut) {
          hash = ((hash << 1) + (GEAR[bytes[at++] ?? 0] ?? 0)) | 0
          isCut = (hash & mask) === 0
        }
        length += at - start
        if (isCut || length === maxBytes) {
          cuts.push(at)
          length = 0
          hash = 0
        }
      }
      return cuts
    },
    restart () {
      length = 0
      hash = 0
    },
  }
}
