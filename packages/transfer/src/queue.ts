/** Hands items from one loop to another. One taker at a time. */
export class Queue<T> {
  readonly #items: (T | undefined)[] = []
  #taken = 0
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  /** Items that wait to be taken. */
  get length (): number {
    return this.#items.length - this.#taken
  }

  push (item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** No more items will come. */
  end (): void {
    this.#isEnded = true
    this.#wake?.()
  }

  /** Whoever takes from now on is rejected with the error. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wake?.()
  }

  /** The next item if it is there already. */
  takeNow (): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#taken]
    // Moving the rest up costs a copy, so it is done seldom; until then what was taken must not be held on to.
    this.#items[this.#taken++] = undefined
    if (this.#taken > 1024 && this.#taken * 2 > this.#items.length) {
      this.#items.splice(0, this.#taken)
      this.#taken = 0
    }
    return item
  }

  /** The next item, or undefined behind the last. */
  async take (): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.length > 0) return this.takeNow()
      if (this.#isEnded) return undefined
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
