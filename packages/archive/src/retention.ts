import type { Version } from './content-store.ts'

const DAY_MS = 86_400_000

/**
 * The versions to drop: all that are past keeping, and of those older than a day all but the last of each path and day
 * (restic's forget policy: everything within 24 h, one a day for the rest). Days are those of UTC.
 */
export function expiredVersions (versions: readonly Version[], { nowMs, keepMs }: { readonly nowMs: number, readonly keepMs: number }): Version[] {
  const newestFirst = [...versions].sort((a, b) => b.untilMs - a.untilMs)
  const kept = new Set<string>()
  return newestFirst.filter(({ path, untilMs }) => {
    if (untilMs < nowMs - keepMs) return true
    if (untilMs >= nowMs - DAY_MS) return false
    const day = `${String(Math.floor(untilMs / DAY_MS))}:${path}`
    if (kept.has(day)) return true
    kept.add(day)
    return false
  })
}

/** What stood in a mirror at a moment: for each path its first version that was replaced later, or the present file. */
export function versionsAt (versions: readonly Version[], atMs: number): Version[] {
  const chosen = new Map<string, Version>()
  for (const version of [...versions].sort((a, b) => b.untilMs - a.untilMs)) if (version.untilMs > atMs) chosen.set(version.path, version)
  return [...chosen.values()].filter(version => version.kind === 'directory' || version.sinceMs <= atMs)
}
