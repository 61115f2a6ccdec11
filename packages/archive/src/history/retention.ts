import type { RelativePath } from '@filesync/protocol'

const DAY_MS = 86_400_000

/** A version, and the age of its archive when it left the mirror. */
export interface AgedVersion {
  readonly path: RelativePath
  readonly ageMs: number
  /** Number of the sync that moved it to versions, which orders the versions of one day. */
  readonly count: number
}

/**
 * The versions to remove: all that expired, and of those older than a day all but the first and the last of each path and day. The first
 * one that left on a day is what was there when the day began, so the state at the end of each day stays whole (restic's forget policy:
 * everything within 24 h, then the last state of each day). The last one is what the last change of the day replaced. Days are UTC.
 */
export function expiredVersions<T extends AgedVersion> (
  versions: readonly T[], { ageMs: nowMs, keepMs }: { readonly ageMs: number, readonly keepMs: number },
): T[] {
  const newestFirst = [...versions].sort((a, b) => b.ageMs - a.ageMs || b.count - a.count)
  const dayOf = ({ path, ageMs }: AgedVersion): string => `${String(Math.floor(ageMs / DAY_MS))}:${path}`
  const first = new Map(newestFirst.map(version => [dayOf(version), version]))
  const kept = new Set<string>()
  return newestFirst.filter(version => {
    const { ageMs } = version
    if (ageMs < nowMs - keepMs) return true
    if (ageMs >= nowMs - DAY_MS) return false
    const day = dayOf(version)
    if (kept.has(day)) return first.get(day) !== version
    kept.add(day)
    return false
  })
}
