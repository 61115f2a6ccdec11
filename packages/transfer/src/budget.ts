/** Limits concurrent work by bytes. One caller waits at a time, in order. */
export class Budget {
  readonly #maxBytes: number
  #usedBytes = 0
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Waits until the bytes fit. A request above the whole budget is granted while nothing else is in use. */
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

  /** Rejects a waiting `acquire` and all later ones with the error. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wake?.()
  }
}
