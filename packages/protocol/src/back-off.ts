/** Bounds of a row of growing waits. */
export interface BackOffLimits {
  /** The longest that the first wait may be. */
  readonly firstMs: number
  /** The longest that any may be. */
  readonly maxMs: number
}

/**
 * How long to wait after a number of tries in a row: doubles each time, with jitter so that those who failed together do
 * not come back together ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015: half fixed, half random).
 *
 * @param tries 1 after the first
 * @param random uniform from 0 to 1
 * @returns milliseconds, between half of what is allowed and all of it
 */
export function backOffMs (tries: number, { firstMs, maxMs }: BackOffLimits, random: number): number {
  const ceilingMs = Math.min(maxMs, firstMs * 2 ** Math.min(tries - 1, 30))
  return Math.round(ceilingMs / 2 + random * ceilingMs / 2)
}
