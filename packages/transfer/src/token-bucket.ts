/**
 * Limits a rate in bytes per second with a token bucket. A take may leave it negative: the caller then waits before sending,
 * so that the rate holds over any time longer than the burst. (RFC 2697 uses the same bucket to mark packets.)
 */
export class TokenBucket {
  readonly #bytesPerSecond: number
  readonly #burstBytes: number
  #tokens: number
  #filledMs: number

  /** @param burstBytes bytes that may pass at once after a pause */
  constructor (init: { readonly bytesPerSecond: number, readonly burstBytes: number, readonly nowMs: number }) {
    if (!(init.bytesPerSecond > 0)) throw new RangeError('A rate must be above zero.')
    this.#bytesPerSecond = init.bytesPerSecond
    this.#burstBytes = init.burstBytes
    this.#tokens = init.burstBytes
    this.#filledMs = init.nowMs
  }

  /** Takes the bytes and returns how many milliseconds to wait before sending them. */
  take (bytes: number, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#filledMs)
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + passedMs * this.#bytesPerSecond / 1000) - bytes
    this.#filledMs = nowMs
    return this.#tokens >= 0 ? 0 : -this.#tokens * 1000 / this.#bytesPerSecond
  }
}
