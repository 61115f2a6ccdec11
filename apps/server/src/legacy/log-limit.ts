import type { Clock } from '@filesync/protocol'

const BURST = 30
const EACH_MS = 1_000

/** Lets so many lines through that strangers cannot flood a log. */
export class LogLimit {
  readonly #clock: Clock
  #room = BURST
  #sinceMs: number
  #dropped = 0

  constructor (clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  /** How many lines before this one were not let through, or undefined where this one is not. */
  pass (): number | undefined {
    const nowMs = this.#clock.monotonicMs()
    this.#room = Math.min(BURST, this.#room + (nowMs - this.#sinceMs) / EACH_MS)
    this.#sinceMs = nowMs
    if (this.#room < 1) {
      this.#dropped++
      return undefined
    }
    this.#room--
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}
