/** Times are set as seconds in a double, and come back at least this exactly where the file system holds microseconds. */
export const TOUCH_GRAIN_NS = 2000n
/** Grains of file systems that hold times less exactly than they are set: exFAT, those of whole seconds, FAT. */
const COARSE_GRAINS_NS: readonly bigint[] = [10_000_000n, 1_000_000_000n, 2_000_000_000n]
/** Times that every file system can hold, 1970 to 2038: others may come back changed. */
const LATEST_NS = 2_147_483_647_000_000_000n

/** Whether a time is the other one as far as something that holds times to `grainNs` can tell. */
export function isSameTime (leftNs: bigint, rightNs: bigint, grainNs: bigint): boolean {
  const apartNs = leftNs - rightNs
  return apartNs < grainNs && apartNs > -grainNs
}

/** Whether a time on the disk is what became of the one that was set: nearly the same, or the grain of time that it fell into. */
export function isTimeGiven (givenNs: bigint, foundNs: bigint): boolean {
  return isSameTime(givenNs, foundNs, TOUCH_GRAIN_NS) || COARSE_GRAINS_NS.some(grainNs => foundNs % grainNs === 0n && isSameTime(givenNs, foundNs, grainNs))
}

/** Whether a time on the disk may be what became of the one that was set, also where that is one which not every file system holds. */
export function mayBeGiven (givenNs: bigint, foundNs: bigint): boolean {
  return !isHeldByAll(givenNs) || isTimeGiven(givenNs, foundNs)
}

/** Whether every file system gives this time back as it was given, but for its grain. */
export function isHeldByAll (timeNs: bigint): boolean {
  return timeNs >= 0n && timeNs <= LATEST_NS
}
