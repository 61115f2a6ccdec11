/** Times are set as seconds in a double; file systems that store microseconds return them at least this exactly. */
export const TOUCH_GRAIN_NS = 2000n
/** After the year 2242, and as far before 1970, a double has fewer bits for the fraction. */
const FAR_GRAIN_NS = 8000n
const FAR_NS = 2n ** 33n * 1_000_000_000n
/** Time granularity of coarse file systems: exFAT, those that store whole seconds, FAT. */
const COARSE_GRAINS_NS: readonly bigint[] = [10_000_000n, 1_000_000_000n, 2_000_000_000n]
/** Every file system can store times from 1970 to 2038; others may be returned changed. */
const LATEST_NS = 2_147_483_647_000_000_000n
const SECOND_NS = 1_000_000_000n

/** The times that a file system can store. A time outside becomes the nearest one, or its seconds are truncated to 32 bits. */
export interface TimeRange {
  readonly earliestNs: bigint
  readonly latestNs: bigint
  readonly outside: 'nearest' | '32 bits'
}

/** For a file system that stores every time. */
export const ALL_TIMES: TimeRange = { earliestNs: -(2n ** 70n), latestNs: 2n ** 70n, outside: 'nearest' }
/** The times that every file system can store. */
export const COMMON_TIMES: TimeRange = { earliestNs: 0n, latestNs: LATEST_NS, outside: 'nearest' }

/** Whether two times are equal at a granularity of `grainNs`. */
export function isSameTime (leftNs: bigint, rightNs: bigint, grainNs: bigint): boolean {
  const apartNs = leftNs - rightNs
  return apartNs < grainNs && apartNs > -grainNs
}

/**
 * Whether a time found on the disk is what the file system stores for the time that was set: nearly the same, rounded to its
 * granularity, or the replacement of a time that it cannot store. Every check whether a file was touched uses this rule.
 */
export function isTimeAsSet (givenNs: bigint, foundNs: bigint, times: TimeRange = ALL_TIMES): boolean {
  if (isSameTime(givenNs, foundNs, TOUCH_GRAIN_NS)) return true
  const heldNs = storableTime(givenNs, times)
  return isSameTime(heldNs, foundNs, heldNs > FAR_NS || heldNs < -FAR_NS ? FAR_GRAIN_NS : TOUCH_GRAIN_NS) ||
    COARSE_GRAINS_NS.some(grainNs => foundNs % grainNs === 0n && isSameTime(heldNs, foundNs, grainNs))
}

/** What a file system stores for a time, apart from its granularity. */
export function storableTime (givenNs: bigint, { earliestNs, latestNs, outside }: TimeRange = ALL_TIMES): bigint {
  if (givenNs >= earliestNs && givenNs <= latestNs) return givenNs
  if (outside === 'nearest') return givenNs < earliestNs ? earliestNs : latestNs
  const fractionNs = ((givenNs % SECOND_NS) + SECOND_NS) % SECOND_NS
  return BigInt.asIntN(32, (givenNs - fractionNs) / SECOND_NS) * SECOND_NS + fractionNs
}

/** Whether every file system can store this time, apart from its granularity. */
export function isStorableEverywhere (timeNs: bigint): boolean {
  return timeNs >= 0n && timeNs <= LATEST_NS
}

/**
 * Finds the range of times that a file system can store, by setting times far outside.
 *
 * @param give sets a time and returns the time found afterwards, nanoseconds since the Unix epoch
 */
export function probeTimeRange (give: (timeNs: bigint) => bigint): TimeRange {
  const early = FAR_TIMES.map(timeNs => [-timeNs, give(-timeNs)] as const)
  const late = FAR_TIMES.map(timeNs => [timeNs, give(timeNs)] as const)
  const bound = (probes: typeof early): bigint | undefined => {
    const [[given, found], [, other]] = [probes[0] ?? [0n, 0n], probes[1] ?? [0n, 0n]]
    if (isTimeAsSet(given, found, ALL_TIMES)) return given
    return found === other ? found : undefined
  }
  const [earliestNs, latestNs] = [bound(early), bound(late)]
  if (earliestNs === undefined || latestNs === undefined) return { ...COMMON_TIMES, outside: '32 bits' }
  return { earliestNs, latestNs, outside: 'nearest' }
}

/** The latest time that a listing can carry, and a little less; the low 32 bits of their seconds differ. */
const FAR_TIMES = [9_223_372_036n * SECOND_NS, 9_000_000_001n * SECOND_NS]
