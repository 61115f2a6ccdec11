/** Time, as a port: driven code takes one, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch; jumps when the system clock is set. */
  nowMs (): number
  /** Milliseconds since some fixed moment; never jumps back. For durations and deadlines. */
  monotonicMs (): number
  /** Calls back once after `delayMs`, unless the returned function is called before. Does not keep a process alive. */
  schedule (delayMs: number, callback: () => void): () => void
}

/** The longest that a machine that woke up goes without looking at its clock. */
const LOOK_EVERY_MS = 15_000

/**
 * Waits as {@link wait} does, and through the sleep of the machine too, in which timers stand still: it is over as soon as
 * one of the two clocks says so. A wall clock that is set forward ends it early, one that is set back does not prolong it.
 */
export async function waitThroughSleep (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const dueMs = clock.monotonicMs() + delayMs
  const wallDueMs = clock.nowMs() + delayMs
  for (;;) {
    const leftMs = Math.min(dueMs - clock.monotonicMs(), wallDueMs - clock.nowMs())
    if (leftMs <= 0) return
    await wait(clock, Math.min(leftMs, LOOK_EVERY_MS), signal)
  }
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
