/** Many listings share one buffer; it is freed when none of them is held any more. */
const SLAB_BYTES = 65_536
/** What is longer is worth a buffer of its own. */
const SMALL_BYTES = 1024

/** Where some bytes lie. */
export interface SlabRange {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * Holds the bytes of very many small listings. The engine takes some 300 bytes for each buffer beside what is in it, which
 * for a directory with one file is six times as much as its listing.
 */
export class ByteSlabs {
  #slab = new Uint8Array(0)
  #used = 0

  /** Bytes to keep, copied where they are short. */
  hold (bytes: Uint8Array): SlabRange {
    if (bytes.length > SMALL_BYTES) return { bytes, start: 0, end: bytes.length }
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES)
      this.#used = 0
    }
    const start = this.#used
    this.#slab.set(bytes, start)
    this.#used += bytes.length
    return { bytes: this.#slab, start, end: this.#used }
  }
}
