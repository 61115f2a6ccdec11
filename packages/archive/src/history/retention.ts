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
 * The versions to remove: all that expired, and of those older than a day all but the last of each path and day (restic's forget
 * policy: everything within 24 h, then one a day). Days are UTC.
 */
export function expiredVersions<T extends AgedVersion> (
  versions: readonly T[], { ageMs: nowMs, keepMs }: { readonly ageMs: number, readonly keepMs: number },
): T[] {
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
