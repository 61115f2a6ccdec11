/**
 * Lets one of many do a step of work at a time, and after each step somebody else, so that whoever has much to do makes nobody
 * wait longer than a step for each of the others. Those of one key together count as one.
 */
export class ReadingTurns {
  readonly #waiting = new Map<string, (() => void)[]>()
  #isTaken = false

  /** Does a step when it is the turn of its key. */
  async take<T> (key: string, step: () => Promise<T>): Promise<T> {
    if (this.#isTaken) await this.#wait(key)
    this.#isTaken = true
    try {
      return await step()
    } finally {
      this.#pass()
    }
  }

  async #wait (key: string): Promise<void> {
    await new Promise<void>(resolve => {
      const queue = this.#waiting.get(key)
      if (queue === undefined) this.#waiting.set(key, [resolve])
      else queue.push(resolve)
    })
  }

  /** Hands the turn to the key that has waited longest; it goes to the end where more of it wait. */
  #pass (): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#isTaken = false
      return
    }
    const [key, queue] = next
    const go = queue.shift()
    this.#waiting.delete(key)
    if (queue.length > 0) this.#waiting.set(key, queue)
    go?.()
  }
}
