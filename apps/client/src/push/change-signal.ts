/** Remembers that something changed until somebody takes notice of it. */
export class ChangeSignal {
  #pending = false
  #wake: (() => void) | undefined

  /** Something changed. */
  note (): void {
    this.#pending = true
    this.#wake?.()
  }

  /** What changed up to now is being looked at. */
  clear (): void {
    this.#pending = false
  }

  /** Resolves as soon as something has changed since the last `clear`. Rejects with the signal's reason. */
  async next (signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#pending) return
    let stop: (() => void) | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        stop = () => { reject(signal.reason as Error) }
        signal.addEventListener('abort', stop, { once: true })
      })
    } finally {
      this.#wake = undefined
      if (stop !== undefined) signal.removeEventListener('abort', stop)
    }
  }
}
