import type { CutFinder } from './gear.ts'

/** Predicts the next chunk. */
export interface Guess {
  /** Its length; undefined if there is no prediction. Called between chunks. */
  nextBytes (): number | undefined
  /** Whether these bytes, `nextBytes` of them, are that chunk. The cut finder must cut after them too. */
  matches (chunk: Uint8Array): boolean
}

const NO_GUESS: Guess = { nextBytes: () => undefined, matches: () => false }
/** Bytes that the cut finder gets at a time if the next chunk may be guessed: what it scans after a cut is wasted. */
const GUESSING_STEP_BYTES = 64 << 10
/**
 * Bytes that may be wasted, by the finder or for a guess that fails: a fixed amount, and one byte of every so many. Above that
 * nothing is guessed for a while, so that no content and no signature costs much more than without guessing.
 */
const WASTE_FREE_BYTES = 1 << 20
const BYTES_PER_WASTED_BYTE = 8

/** Cuts bytes that come in pieces into chunks. Buffers one unfinished chunk. */
export class Chunker {
  readonly #cuts: CutFinder
  readonly #guess: Guess
  /** The start of the unfinished chunk; grows to the longest one. */
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  #heldBytes = 0
  /** Length of the current chunk if it is guessed; the finder has then seen nothing of it. */
  #guessedBytes: number | undefined
  #seenBytes = 0
  #wastedBytes = 0

  constructor (cuts: CutFinder, guess: Guess = NO_GUESS) {
    this.#cuts = cuts
    this.#guess = guess
    this.#guessedBytes = guess.nextBytes()
  }

  /**
   * The chunks that these bytes complete. Each is a view that is valid until the next one is taken. The bytes may be changed
   * after all are taken.
   */
  * push (bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    this.#seenBytes += bytes.length
    yield * this.#cut(bytes)
  }

  /** The last chunks, if the bytes did not end with one; more than one if the last guess was wrong. */
  * finish (): Generator<Uint8Array, void, undefined> {
    while (this.#guessedBytes !== undefined) yield * this.#cutHeld()
    this.#cuts.restart()
    if (this.#heldBytes > 0) yield this.#join(new Uint8Array(0))
  }

  * #cut (bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let from = 0; from < bytes.length;) {
      if (this.#guessedBytes === undefined) {
        from += yield * this.#findCuts(bytes.subarray(from))
        continue
      }
      const missing = this.#guessedBytes - this.#heldBytes
      if (bytes.length - from < missing) {
        this.#hold(bytes.subarray(from))
        return
      }
      const heldBytes = this.#heldBytes
      const chunk = this.#join(bytes.subarray(from, from + missing))
      if (this.#guess.matches(chunk)) {
        yield chunk
        this.#guessNext()
        from += missing
        continue
      }
      this.#wastedBytes += chunk.length
      this.#heldBytes = heldBytes
      yield * this.#cutHeld()
    }
  }

  /** Passes the finder what was held for a guess. */
  * #cutHeld (): Generator<Uint8Array, void, undefined> {
    this.#guessedBytes = undefined
    const held = this.#held.slice(0, this.#heldBytes)
    this.#heldBytes = 0
    yield * this.#cut(held)
  }

  /** Returns the number of bytes processed: all, or fewer if the next chunk is guessed. */
  * #findCuts (bytes: Uint8Array): Generator<Uint8Array, number, undefined> {
    const seen = this.#guess === NO_GUESS ? bytes : bytes.subarray(0, GUESSING_STEP_BYTES)
    let from = 0
    for (const cut of this.#cuts.push(seen)) {
      yield this.#join(seen.subarray(from, cut))
      from = cut
      if (!this.#guessNext()) continue
      this.#cuts.restart()
      this.#wastedBytes += seen.length - cut
      return cut
    }
    this.#hold(seen.subarray(from))
    return seen.length
  }

  #guessNext (): boolean {
    const isAllowed = this.#wastedBytes <= WASTE_FREE_BYTES + this.#seenBytes / BYTES_PER_WASTED_BYTE
    this.#guessedBytes = isAllowed ? this.#guess.nextBytes() : undefined
    return this.#guessedBytes !== undefined
  }

  #join (last: Uint8Array): Uint8Array {
    if (this.#heldBytes === 0) return last
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
