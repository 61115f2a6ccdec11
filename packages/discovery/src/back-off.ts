export interface BackOffInit {
  readonly firstMs: number
  readonly maxMs: number
  /** A number from 0 to 1, 1 excluded. */
  readonly random: () => number
}

/** Delays that double from the first to the longest, each a quarter more or less, so that many askers drift apart. */
export class BackOff {
  readonly #init: BackOffInit
  #nextMs: number

  constructor (init: BackOffInit) {
    this.#init = init
    this.#nextMs = init.firstMs
  }

  /** The delay before the next try, in milliseconds. */
  next (): number {
    const delayMs = this.#nextMs
    this.#nextMs = Math.min(this.#init.maxMs, delayMs * 2)
    return delayMs * (0.75 + 0.5 * this.#init.random())
  }

  reset (): void {
    this.#nextMs = this.#init.firstMs
  }
}
