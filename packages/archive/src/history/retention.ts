import type { RelativePath } from '@filesync/protocol'

const DAY_MS = 86_400_000

/** A version by when it was put away, in the age of its archive. */
export interface AgedVersion {
  readonly path: RelativePath
  readonly ageMs: number
  /** The sync that put it away, which orders those of one day. */
  readonly count: number
}

/**
 * The versions to drop: all that are past keeping, and of those older than a day all but the last of each path and day
 * (restic's forget policy: everything within 24 h, one a day for the rest). Days are those of UTC.
 */
export function expiredVersions<T extends AgedVersion> (versions: readonly T[], { ageMs: nowMs, keepMs }: { readonly ageMs: number, readonly keepMs: number }): T[] {
  const newestFirst = [...versions].sort((a, b) => b.ageMs - a.ageMs || b.count - a.count)
  const kept = new Set<string>()
  return newestFirst.filter(({ path, ageMs }) => {
    if (ageMs < nowMs - keepMs) return true
    if (ageMs >= nowMs - DAY_MS) return false
    const day = `${String(Math.floor(ageMs / DAY_MS))}:${path}`
    if (kept.has(day)) return true
    kept.add(day)
    return false
  })
}
