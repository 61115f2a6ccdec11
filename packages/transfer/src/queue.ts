/** Passes items from one loop to another. One taker at a time. */
export class Queue<T> {
  readonly #items: (T | undefined)[] = []
  #taken = 0
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  /** Number of items that were not taken. */
  get length (): number {
    return this.#items.length - this.#taken
  }

  push (item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Ends the queue after the items in it. */
  end (): void {
    this.#isEnded = true
    this.#wake?.()
  }

  /** Rejects a waiting `take` and all later ones with the error. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wake?.()
  }

  /** The next item if there is one now. */
  takeNow (): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#taken]
    // Removing taken items copies the rest, so it is done rarely; until then the taken ones must not be retained.
    this.#items[this.#taken++] = undefined
    if (this.#taken > 1024 && this.#taken * 2 > this.#items.length) {
      this.#items.splice(0, this.#taken)
      this.#taken = 0
    }
    return item
  }

  /** Waits for the next item; undefined after the last. */
  async take (): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.length > 0) return this.takeNow()
      if (this.#isEnded) return undefined
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
