/** Many short pieces share one buffer. */
const SLAB_BYTES = 65_536
/** Longer pieces have a buffer of their own. */
const SHORT_BYTES = 1024
const NOTHING = new Uint8Array(0)

/**
 * Stores very many short pieces of bytes. The engine needs about 300 bytes for each buffer in addition to its content, which for a
 * directory with one file is six times the size of its listing. A buffer is freed when all pieces in it are released.
 */
export class ByteSlabs {
  readonly #slabs: Uint8Array[] = []
  /** By buffer, how many of its pieces are not released. */
  readonly #held: number[] = []
  /** The buffer that short pieces are added to, and how much of it is used. */
  #open = -1
  #used = SLAB_BYTES

  /** Keeps bytes: a short piece is copied, a long one is referenced. Returns its place, an integer. */
  hold (bytes: Uint8Array): number {
    if (bytes.length > SHORT_BYTES) return this.#add(bytes, 1) * SLAB_BYTES
    if (this.#used + bytes.length > SLAB_BYTES) {
      const full = this.#open
      this.#open = this.#add(new Uint8Array(SLAB_BYTES), 0)
      this.#used = 0
      if (this.#held[full] === 0) this.#slabs[full] = NOTHING
    }
    const start = this.#used
    this.#slabs[this.#open]?.set(bytes, start)
    this.#held[this.#open] = (this.#held[this.#open] ?? 0) + 1
    this.#used += bytes.length
    return this.#open * SLAB_BYTES + start
  }

  /** The bytes at a place, without a copy; empty if they were released. */
  at (place: number, lengthBytes: number): Uint8Array {
    const slab = this.#slabs[Math.floor(place / SLAB_BYTES)] ?? NOTHING
    const start = place % SLAB_BYTES
    return slab.length === lengthBytes ? slab : slab.subarray(start, start + lengthBytes)
  }

  /** Frees a piece; to be called once for each. */
  release (place: number): void {
    const slab = Math.floor(place / SLAB_BYTES)
    const held = (this.#held[slab] ?? 1) - 1
    this.#held[slab] = held
    if (held === 0 && slab !== this.#open) this.#slabs[slab] = NOTHING
  }

  #add (slab: Uint8Array, held: number): number {
    this.#held.push(held)
    return this.#slabs.push(slab) - 1
  }
}
