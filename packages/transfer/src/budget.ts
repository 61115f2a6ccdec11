/** Bounds what is under way at the same time, by bytes. One waits at a time, in order. */
export class Budget {
  readonly #maxBytes: number
  #usedBytes = 0
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Waits until there is room. What alone is larger than everything gets its room when nothing else is under way. */
  async acquire (bytes: number): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes) break
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
    this.#usedBytes += bytes
  }

  release (bytes: number): void {
    this.#usedBytes -= bytes
    this.#wake?.()
  }

  /** Whoever waits, now or later, is rejected with the error. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wake?.()
  }
}
