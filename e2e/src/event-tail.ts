import { followControl } from '@filesync/program/node'

/** What a running program tells, kept from the first event on. */
export class EventTail {
  readonly events: Record<string, unknown>[] = []
  readonly #stop = new AbortController()
  #wake: () => void = () => { /* nobody waits yet */ }
  #isOver = false

  private constructor (lines: AsyncIterable<unknown>) {
    void this.#read(lines)
  }

  /** Throws where no program runs with the state directory. */
  static async open (stateDir: string): Promise<EventTail> {
    const stop = new AbortController()
    const lines = await followControl(stateDir, 'GET /events', stop.signal)
    if (lines === undefined) throw new Error(`no program runs with ${stateDir}`)
    const tail = new EventTail(lines)
    tail.#stop.signal.addEventListener('abort', () => { stop.abort() }, { once: true })
    return tail
  }

  /** The first event that fits, or the n-th, of those told and those to come. */
  async until (fits: (event: Record<string, unknown>) => boolean, nth = 1): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.events.filter(fits)[nth - 1]
      if (found !== undefined) return found
      if (this.#isOver) throw new Error(`The program has ended; it told ${JSON.stringify(this.events)}.`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  close (): void {
    this.#stop.abort()
  }

  async #read (lines: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const line of lines) {
        this.events.push(line as Record<string, unknown>)
        this.#wake()
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.events.push({ event: 'broken', message: String(error) })
    } finally {
      this.#isOver = true
      this.#wake()
    }
  }
}
