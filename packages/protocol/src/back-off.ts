/** Limits for exponential back-off. */
export interface BackOffLimits {
  /** Upper bound of the first delay. */
  readonly firstMs: number
  /** Upper bound of every delay. */
  readonly maxMs: number
}

/**
 * Delay before the next attempt: doubles with each failed one, with jitter so that clients that failed together do not retry
 * together ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015: half fixed, half random).
 *
 * @param tries number of failed attempts in a row, 1 after the first
 * @param random uniform from 0 to 1
 * @returns milliseconds, between half of the current upper bound and all of it
 */
export function backOffMs (tries: number, { firstMs, maxMs }: BackOffLimits, random: number): number {
  const ceilingMs = Math.min(maxMs, firstMs * 2 ** Math.min(tries - 1, 30))
  return Math.round(ceilingMs / 2 + random * ceilingMs / 2)
}
