/** Times are set as seconds in a double, and come back at least this exactly where the file system holds microseconds. */
export const TOUCH_GRAIN_NS = 2000n
/** Beyond the year 2242, and as far before 1970, a double has less of the fraction left. */
const FAR_GRAIN_NS = 8000n
const FAR_NS = 2n ** 33n * 1_000_000_000n
/** Grains of file systems that hold times less exactly than they are set: exFAT, those of whole seconds, FAT. */
const COARSE_GRAINS_NS: readonly bigint[] = [10_000_000n, 1_000_000_000n, 2_000_000_000n]
/** Times that every file system can hold, 1970 to 2038: others may come back changed. */
const LATEST_NS = 2_147_483_647_000_000_000n
const SECOND_NS = 1_000_000_000n

/** The times that a file system can hold. One outside comes back as the nearest of them, or as what is left of its seconds in 32 bits. */
export interface TimeRange {
  readonly earliestNs: bigint
  readonly latestNs: bigint
  readonly outside: 'nearest' | '32 bits'
}

/** Of a file system that holds every time. */
export const ALL_TIMES: TimeRange = { earliestNs: -(2n ** 70n), latestNs: 2n ** 70n, outside: 'nearest' }
/** What every file system can hold. */
export const COMMON_TIMES: TimeRange = { earliestNs: 0n, latestNs: LATEST_NS, outside: 'nearest' }

/** Whether a time is the other one as far as something that holds times to `grainNs` can tell. */
export function isSameTime (leftNs: bigint, rightNs: bigint, grainNs: bigint): boolean {
  const apartNs = leftNs - rightNs
  return apartNs < grainNs && apartNs > -grainNs
}

/**
 * Whether a time on the disk is what its file system makes of the one that was set: nearly the same, the grain of time that it
 * fell into, or what stands for a time that it cannot hold. The one rule for all who ask whether a file was touched since.
 */
export function isTimeAsSet (givenNs: bigint, foundNs: bigint, times: TimeRange = ALL_TIMES): boolean {
  if (isSameTime(givenNs, foundNs, TOUCH_GRAIN_NS)) return true
  const heldNs = storableTime(givenNs, times)
  return isSameTime(heldNs, foundNs, heldNs > FAR_NS || heldNs < -FAR_NS ? FAR_GRAIN_NS : TOUCH_GRAIN_NS) ||
    COARSE_GRAINS_NS.some(grainNs => foundNs % grainNs === 0n && isSameTime(heldNs, foundNs, grainNs))
}

/** What a file system makes of a time, but for its grain. */
export function storableTime (givenNs: bigint, { earliestNs, latestNs, outside }: TimeRange = ALL_TIMES): bigint {
  if (givenNs >= earliestNs && givenNs <= latestNs) return givenNs
  if (outside === 'nearest') return givenNs < earliestNs ? earliestNs : latestNs
  const fractionNs = ((givenNs % SECOND_NS) + SECOND_NS) % SECOND_NS
  return BigInt.asIntN(32, (givenNs - fractionNs) / SECOND_NS) * SECOND_NS + fractionNs
}

/** Whether every file system gives this time back as it was given, but for its grain. */
export function isStorableEverywhere (timeNs: bigint): boolean {
  return timeNs >= 0n && timeNs <= LATEST_NS
}

/**
 * Finds out what a file system can hold, from what it makes of times far outside.
 *
 * @param give sets a time and returns what came of it, nanoseconds since the Unix epoch
 */
export function probeTimeRange (give: (timeNs: bigint) => bigint): TimeRange {
  const [early, late] = [FAR_TIMES.map(timeNs => [-timeNs, give(-timeNs)] as const), FAR_TIMES.map(timeNs => [timeNs, give(timeNs)] as const)]
  const bound = (probes: typeof early): bigint | undefined => {
    const [[given, found], [, other]] = [probes[0] ?? [0n, 0n], probes[1] ?? [0n, 0n]]
    if (isTimeAsSet(given, found, ALL_TIMES)) return given
    return found === other ? found : undefined
  }
  const [earliestNs, latestNs] = [bound(early), bound(late)]
  if (earliestNs === undefined || latestNs === undefined) return { ...COMMON_TIMES, outside: '32 bits' }
  return { earliestNs, latestNs, outside: 'nearest' }
}

/** The widest that a listing can carry, and a little less; their last 32 bits of seconds differ. */
const FAR_TIMES = [9_223_372_036n * SECOND_NS, 9_000_000_001n * SECOND_NS]
