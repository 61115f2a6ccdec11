/** Remembers that something has changed since it was last cleared. */
export class ChangeSignal {
  #pending = false
  #wake: (() => void) | undefined

  set (): void {
    this.#pending = true
    this.#wake?.()
  }

  /** Called before the changes so far are looked at. */
  clear (): void {
    this.#pending = false
  }

  /** Resolves once something has changed since the last `clear`. Rejects with the signal's reason. */
  async wait (signal: AbortSignal): Promise<void> {
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
