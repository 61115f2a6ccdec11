import type { CutFinder } from './gear.ts'

/** Cuts bytes that come in pieces into chunks. Holds one unfinished chunk. */
export class Chunker {
  readonly #cuts: CutFinder
  /** The start of the unfinished chunk; grows with the longest that there was. */
  #held: Uint8Array = new Uint8Array(0)
  #heldBytes = 0

  constructor (cuts: CutFinder) {
    this.#cuts = cuts
  }

  /**
   * The chunks that these bytes complete, each a view that holds until the next one is taken. The bytes may be changed when
   * all are taken.
   */
  * push (bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let from = 0
    for (const cut of this.#cuts.push(bytes)) {
      const last = bytes.subarray(from, cut)
      yield this.#heldBytes === 0 ? last : this.#join(last)
      from = cut
    }
    this.#hold(bytes.subarray(from))
  }

  /** The last chunk, where the bytes did not end with one. What is pushed behind it begins anew. */
  finish (): Uint8Array | undefined {
    this.#cuts.restart()
    return this.#heldBytes === 0 ? undefined : this.#join(new Uint8Array(0))
  }

  #join (last: Uint8Array): Uint8Array {
    this.#hold(last)
    const chunk = this.#held.subarray(0, this.#heldBytes)
    this.#heldBytes = 0
    return chunk
  }

  #hold (bytes: Uint8Array): void {
    const length = this.#heldBytes + bytes.length
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#held.length))
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes = length
  }
}
