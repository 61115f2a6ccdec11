import type { CutFinder } from './gear.ts'

/** Cuts bytes that come in pieces into chunks. Holds the pieces of one unfinished chunk. */
export class Chunker {
  readonly #cuts: CutFinder
  #pieces: Uint8Array[] = []

  constructor (cuts: CutFinder) {
    this.#cuts = cuts
  }

  /** The chunks that these bytes complete. The bytes may not be changed afterwards. */
  * push (bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let from = 0
    for (const cut of this.#cuts.push(bytes)) {
      yield this.#join(bytes.subarray(from, cut))
      from = cut
    }
    if (from < bytes.length) this.#pieces.push(bytes.subarray(from))
  }

  /** The last chunk, where the bytes did not end with one. */
  finish (): Uint8Array | undefined {
    return this.#pieces.length === 0 ? undefined : this.#join(new Uint8Array(0))
  }

  #join (last: Uint8Array): Uint8Array {
    if (this.#pieces.length === 0) return last
    let length = last.length
    for (const piece of this.#pieces) length += piece.length
    const chunk = new Uint8Array(length)
    let at = 0
    for (const piece of [...this.#pieces, last]) {
      chunk.set(piece, at)
      at += piece.length
    }
    this.#pieces = []
    return chunk
  }
}
