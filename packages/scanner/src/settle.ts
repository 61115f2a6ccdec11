import type { EntryStat } from './entry-stat.ts'

/** Two changes within this time may have the same mtime: the kernel's clock for files ticks every 1 to 10 ms. */
const CLOCK_TICK_MS = 20
/** A ctime further in the future means that the clock was set back since. */
const SKEW_MS = 60_000

/**
 * How long until a file counts as settled, in milliseconds; undefined if it is settled. Decided by its mtime, so that a copy
 * that keeps an old time (`cp -p`) is settled as soon as that time is set; by its ctime if the mtime is in the future.
 */
export function settlesInMs (
  { mtimeMs, ctimeMs }: Pick<EntryStat, 'mtimeMs' | 'ctimeMs'>, nowMs: number, settleMs: number
): number | undefined {
  const neededMs = Math.max(settleMs, CLOCK_TICK_MS)
  if (nowMs - mtimeMs >= neededMs) return undefined
  const changedMs = mtimeMs > nowMs ? ctimeMs : mtimeMs
  const ageMs = nowMs - changedMs
  return ageMs >= neededMs || ageMs < -SKEW_MS ? undefined : neededMs - ageMs
}
