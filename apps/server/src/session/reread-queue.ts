/**
 * Reads stored copies again for safe checks, one copy at a time and round-robin by client: a client that asks about a million files
 * delays another one by a single copy. All sessions with the same key count as one client.
 */
export class RereadQueue {
  readonly #waiting = new Map<string, (() => void)[]>()
  #isBusy = false

  /** Runs one step when it is the key's turn. */
  async run<T> (key: string, step: () => Promise<T>): Promise<T> {
    if (this.#isBusy) await this.#wait(key)
    this.#isBusy = true
    try {
      return await step()
    } finally {
      this.#startNext()
    }
  }

  async #wait (key: string): Promise<void> {
    await new Promise<void>(resolve => {
      const queue = this.#waiting.get(key)
      if (queue === undefined) this.#waiting.set(key, [resolve])
      else queue.push(resolve)
    })
  }

  /** Starts a step of the key that has waited longest. If more of its steps wait, the key goes to the end of the line. */
  #startNext (): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#isBusy = false
      return
    }
    const [key, queue] = next
    const go = queue.shift()
    this.#waiting.delete(key)
    if (queue.length > 0) this.#waiting.set(key, queue)
    go?.()
  }
}
