/** Time, as a port: driven code takes one, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch; jumps when the system clock is set. */
  nowMs (): number
  /** Milliseconds since some fixed moment; never jumps back. For durations and deadlines. */
  monotonicMs (): number
  /** Calls back once after `delayMs`, unless the returned function is called before. Does not keep a process alive. */
  schedule (delayMs: number, callback: () => void): () => void
}

/** Waits on a clock. Rejects with the signal's reason when it is aborted first. */
export async function wait (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  let cancel: (() => void) | undefined
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      cancel = clock.schedule(delayMs, resolve)
      stop = () => { reject(signal?.reason as Error) }
      signal?.addEventListener('abort', stop, { once: true })
    })
  } finally {
    cancel?.()
    if (stop !== undefined) signal?.removeEventListener('abort', stop)
  }
}
