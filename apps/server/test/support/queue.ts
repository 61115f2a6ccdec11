import type { Arrival } from '../../src/schedule/session-queue.ts'

/** An arrival in the queue that ignores its position, and that never leaves by itself. */
export function arrivalOf (identity: string, more: Partial<Arrival> = {}): Arrival {
  return {
    identity,
    signal: new AbortController().signal,
    onPosition () { /* ignored */ },
    onReplaced () { /* ignored */ },
    ...more,
  }
}
