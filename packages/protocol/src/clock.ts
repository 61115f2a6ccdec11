/** Time, as a port, so that tests can control it. */
export interface Clock {
  /** Milliseconds since the Unix epoch; jumps when the system clock is set. */
  nowMs (): number
  /** Milliseconds since a fixed moment; never goes backwards. For durations and deadlines. */
  monotonicMs (): number
  /** Calls back once after `delayMs`, unless the returned function is called before. Does not keep a process alive. */
  schedule (delayMs: number, callback: () => void): () => void
}

/** The longest time until a machine that woke up checks its clock. */
const CHECK_EVERY_MS = 15_000

/**
 * As {@link wait}, but time in which the machine sleeps counts too, although timers stop then: the wait is over as soon as one of
 * the two clocks says so. A wall clock that is set forward ends it early; one that is set back does not prolong it.
 */
export async function waitThroughSleep (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const dueMs = clock.monotonicMs() + delayMs
  const wallDueMs = clock.nowMs() + delayMs
  for (;;) {
    const leftMs = Math.min(dueMs - clock.monotonicMs(), wallDueMs - clock.nowMs())
    if (leftMs <= 0) return
    await wait(clock, Math.min(leftMs, CHECK_EVERY_MS), signal)
  }
}

/** Waits on a clock. Rejects with the signal's reason if it is aborted first. */
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
