import type { EntryStat } from './entry-stat.ts'

/** Two changes within this time may leave the same mtime behind: the kernel's clock for files ticks every 1 to 10 ms. */
const CLOCK_TICK_MS = 20
/** A change that lies further in the future than this was not made then: the clock has been set back since. */
const SKEW_MS = 60_000

/**
 * How long until a file may be taken for quiet, in milliseconds; undefined when it is already. By its mtime, so that a
 * copy that keeps an old time (`cp -p`) counts as quiet once that time is set. Where the mtime lies in the future, which
 * says nothing, by its ctime.
 */
export function settlesInMs ({ mtimeMs, ctimeMs }: Pick<EntryStat, 'mtimeMs' | 'ctimeMs'>, nowMs: number, settleMs: number): number | undefined {
  const restMs = Math.max(settleMs, CLOCK_TICK_MS)
  if (nowMs - mtimeMs >= restMs) return undefined
  const changedMs = mtimeMs > nowMs ? ctimeMs : mtimeMs
  const ageMs = nowMs - changedMs
  return ageMs >= restMs || ageMs < -SKEW_MS ? undefined : restMs - ageMs
}
