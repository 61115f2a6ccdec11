import { performance } from 'node:perf_hooks'
import type { Clock } from '../clock.ts'

/** The clock of this machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule (delayMs, callback) {
    if (delayMs <= 0) {
      // A timer takes a millisecond at least, which is long for work that pauses a hundred times a second.
      const immediate = setImmediate(callback)
      return () => { clearImmediate(immediate) }
    }
    // Node turns longer delays into one millisecond.
    const timer = setTimeout(callback, Math.min(delayMs, 0x7fff_ffff)).unref()
    return () => { clearTimeout(timer) }
  },
}
