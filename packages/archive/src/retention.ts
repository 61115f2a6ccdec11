import type { Version } from './content-store.ts'

const DAY_MS = 86_400_000

/** What claims to be older was kept under a clock that was not set yet; how old it really is nobody knows. The start of 2020. */
const NO_CLOCK_MS = 1_577_836_800_000

/**
 * The versions to drop: all that are past keeping, and of those older than a day all but the last of each path and day
 * (restic's forget policy: everything within 24 h, one a day for the rest). Days are those of UTC.
 */
export function expiredVersions (versions: readonly Version[], { nowMs, keepMs }: { readonly nowMs: number, readonly keepMs: number }): Version[] {
  const newestFirst = [...versions].sort((a, b) => b.untilMs - a.untilMs)
  const kept = new Set<string>()
  return newestFirst.filter(({ path, untilMs }) => {
    if (untilMs < NO_CLOCK_MS && nowMs > NO_CLOCK_MS) return false
    if (untilMs < nowMs - keepMs) return true
    if (untilMs >= nowMs - DAY_MS) return false
    const day = `${String(Math.floor(untilMs / DAY_MS))}:${path}`
    if (kept.has(day)) return true
    kept.add(day)
    return false
  })
}
