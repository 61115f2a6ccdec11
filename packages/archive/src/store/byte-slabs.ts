/** Many listings share one buffer, which is freed when none of them is referenced. */
const SLAB_BYTES = 65_536
/** Longer listings get their own buffer. */
const SMALL_BYTES = 1024

/** A range of bytes in a buffer. */
export interface SlabRange {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * Stores the bytes of very many small listings. The engine needs about 300 bytes for each buffer in addition to its content, which for
 * a directory with one file is six times the size of its listing.
 */
export class ByteSlabs {
  #slab = new Uint8Array(0)
  #used = 0

  /** Keeps bytes: small ones are copied, large ones are referenced. */
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
