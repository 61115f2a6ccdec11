/**
 * A rate in bytes a second, as a bucket that fills with time. What is taken may leave it below zero: whoever takes then
 * waits before, so that the rate holds over any time longer than the burst. (RFC 2697 uses the same bucket with marks.)
 */
export class TokenBucket {
  readonly #bytesPerSecond: number
  readonly #burstBytes: number
  #tokens: number
  #filledMs: number

  /** @param burstBytes what may pass at once after a pause */
  constructor (init: { readonly bytesPerSecond: number, readonly burstBytes: number, readonly nowMs: number }) {
    if (!(init.bytesPerSecond > 0)) throw new RangeError('A rate has to be above zero.')
    this.#bytesPerSecond = init.bytesPerSecond
    this.#burstBytes = init.burstBytes
    this.#tokens = init.burstBytes
    this.#filledMs = init.nowMs
  }

  /** Takes the bytes, and says for how many milliseconds to wait before they are sent. */
  take (bytes: number, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#filledMs)
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + passedMs * this.#bytesPerSecond / 1000) - bytes
    this.#filledMs = nowMs
    return this.#tokens >= 0 ? 0 : -this.#tokens * 1000 / this.#bytesPerSecond
  }
}
