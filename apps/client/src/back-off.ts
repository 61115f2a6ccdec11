/** The first wait after a failure. */
const FIRST_DELAY_MS = 1_000

/**
 * How long to wait after a number of failures in a row: doubles each time, with jitter so that clients that failed
 * together do not come back together ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015: half fixed, half random).
 *
 * @param failures 1 after the first
 * @param maxDelayMs the upper bound: a client never waits longer than its sync interval
 * @param random uniform from 0 to 1
 */
export function backOffMs (failures: number, maxDelayMs: number, random: number): number {
  const ceilingMs = Math.min(maxDelayMs, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 30))
  return Math.round(ceilingMs / 2 + random * ceilingMs / 2)
}
