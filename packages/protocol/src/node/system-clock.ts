import { performance } from 'node:perf_hooks'
import type { Clock } from '../clock.ts'

/** The clock of this machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule (delayMs, callback) {
    if (delayMs <= 0) {
      // A timer takes at least a millisecond, which is long for work that yields a hundred times a second.
      const immediate = setImmediate(callback)
      return () => { clearImmediate(immediate) }
    }
    // Node treats longer delays as one millisecond.
    const timer = setTimeout(callback, Math.min(delayMs, 0x7fff_ffff)).unref()
    return () => { clearTimeout(timer) }
  },
}
