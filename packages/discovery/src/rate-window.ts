/**
 * At most `limit` events in any span of `windowMs`, whatever their spacing: a sliding log. A token bucket of the same
 * rate would let twice the limit pass in its first second.
 */
export class RateWindow {
  readonly #limit: number
  readonly #windowMs: number
  #times: number[] = []

  constructor (limit: number, windowMs: number) {
    this.#limit = limit
    this.#windowMs = windowMs
  }

  /** How many more events fit now. */
  room (nowMs: number): number {
    const start = nowMs - this.#windowMs
    const live = this.#times.findIndex(time => time > start)
    this.#times = live < 0 ? [] : this.#times.slice(live)
    return this.#limit - this.#times.length
  }

  /** Notes one event. */
  note (nowMs: number): void {
    this.#times.push(nowMs)
  }
}
