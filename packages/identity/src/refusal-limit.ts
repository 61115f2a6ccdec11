/** Refusals told at once, and how fast there is room for more: anyone on the network can cause them. */
const BURST = 20
const REFILL_MS = 30_000

/** Lets a burst of refusals through and then one at a time; counts the rest. */
export class RefusalLimit {
  #left = BURST
  #filledMs: number
  #dropped = 0

  /** @param nowMs monotonic */
  constructor (nowMs: number) {
    this.#filledMs = nowMs
  }

  /** How many refusals were dropped before this one, or undefined where this one is dropped too. @param nowMs monotonic */
  take (nowMs: number): number | undefined {
    const refill = Math.floor((nowMs - this.#filledMs) / REFILL_MS)
    this.#left = Math.min(BURST, this.#left + refill)
    this.#filledMs += refill * REFILL_MS
    if (this.#left === 0) {
      this.#dropped++
      return undefined
    }
    this.#left--
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }

  /** One that was let through, with those dropped before it, was not told after all: the next one counts them. */
  untold (dropped: number): void {
    this.#dropped += dropped + 1
  }
}
