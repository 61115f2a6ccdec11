/** What was pushed, in order, for one reader that waits for it. */
export class EventQueue<T> {
  readonly #capacity: number
  #items: T[] = []
  #closed = false
  #wake: (() => void) | undefined

  /** @param capacity how many items may wait before `offer` refuses */
  constructor (capacity: number = Infinity) {
    this.#capacity = capacity
  }

  get closed (): boolean {
    return this.#closed
  }

  /** Takes an item unless there is no room. */
  offer (item: T): boolean {
    if (this.#items.length >= this.#capacity) return false
    this.push(item)
    return true
  }

  /** Takes an item, whatever the room. Ignored once closed. */
  push (item: T): void {
    if (this.#closed) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** The next item; undefined once closed. */
  async next (): Promise<T | undefined> {
    for (;;) {
      if (this.#closed) return undefined
      if (this.#items.length > 0) return this.#items.shift()
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  /** Drops what waits, and ends the reader. */
  close (): void {
    this.#closed = true
    this.#items = []
    this.#wake?.()
  }
}
