import type { CutFinder } from './gear.ts'

/** Tells which chunk probably comes next. */
export interface Guess {
  /** How long it is; undefined while there is nothing to guess. Asked between chunks. */
  nextBytes (): number | undefined
  /** Whether these bytes, as many as were told, are that chunk. The cut finder would have to cut here too. */
  holds (chunk: Uint8Array): boolean
}

const NO_GUESS: Guess = { nextBytes: () => undefined, holds: () => false }
/** What the cut finder is given at a time where the next chunk may be guessed: what it sees beyond a cut is in vain. */
const GUESSING_STEP_BYTES = 64 << 10
/**
 * How much may be looked at in vain, by the finder or for a guess that fails: a little, and one byte of so many. Beyond it
 * nothing is guessed for a while, so that no content and no signature costs much more than without guessing.
 */
const VAIN_BYTES_FREE = 1 << 20
const BYTES_A_VAIN_BYTE = 8

/** Cuts bytes that come in pieces into chunks. Holds one unfinished chunk. */
export class Chunker {
  readonly #cuts: CutFinder
  readonly #guess: Guess
  /** The start of the unfinished chunk; grows with the longest that there was. */
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  #heldBytes = 0
  /** Set while the chunk that is awaited is guessed; the finder has seen nothing of it then. */
  #guessedBytes: number | undefined
  #seenBytes = 0
  #vainBytes = 0

  constructor (cuts: CutFinder, guess: Guess = NO_GUESS) {
    this.#cuts = cuts
    this.#guess = guess
    this.#guessedBytes = guess.nextBytes()
  }

  /**
   * The chunks that these bytes complete, each a view that holds until the next one is taken. The bytes may be changed when
   * all are taken.
   */
  * push (bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    this.#seenBytes += bytes.length
    yield * this.#cut(bytes)
  }

  /** The last chunks, where the bytes did not end with one: more than one where the last was guessed wrongly. */
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
      if (this.#guess.holds(chunk)) {
        yield chunk
        this.#guessNext()
        from += missing
        continue
      }
      this.#vainBytes += chunk.length
      this.#heldBytes = heldBytes
      yield * this.#cutHeld()
    }
  }

  /** Lets the finder see what was held for a guess. */
  * #cutHeld (): Generator<Uint8Array, void, undefined> {
    this.#guessedBytes = undefined
    const held = this.#held.slice(0, this.#heldBytes)
    this.#heldBytes = 0
    yield * this.#cut(held)
  }

  /** Returns how many of the bytes are dealt with: all, or less where the next chunk is to be guessed. */
  * #findCuts (bytes: Uint8Array): Generator<Uint8Array, number, undefined> {
    const seen = this.#guess === NO_GUESS ? bytes : bytes.subarray(0, GUESSING_STEP_BYTES)
    let from = 0
    for (const cut of this.#cuts.push(seen)) {
      yield this.#join(seen.subarray(from, cut))
      from = cut
      if (!this.#guessNext()) continue
      this.#cuts.restart()
      this.#vainBytes += seen.length - cut
      return cut
    }
    this.#hold(seen.subarray(from))
    return seen.length
  }

  #guessNext (): boolean {
    const isAllowed = this.#vainBytes <= VAIN_BYTES_FREE + this.#seenBytes / BYTES_A_VAIN_BYTE
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
