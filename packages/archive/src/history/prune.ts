import { ROOT_PATH } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ContentStore, KeptEntry } from '../store/content-store.ts'
import { expiredVersions } from './retention.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { encodeStart, parseLog } from './change-log.ts'
import { encodePoints, parsePoints } from './point-log.ts'

/** Versions removed in one step, for which a sync may have to wait. */
const DROPPED_AT_ONCE = 500

export interface PruneInit {
  readonly area: string
  readonly store: Pick<ContentStore, 'versions' | 'dropVersions' | 'history' | 'appendHistory' | 'dropHistory' | 'points' | 'replacePoints'>
  readonly hash: HashBytes
  readonly signal: AbortSignal
  /** Runs work that changes versions while no sync runs. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>
}

/** What was removed. */
export interface PruneOutcome {
  /** Number of versions, without directories. */
  readonly dropped: number
  /** Number of the last sync whose history was removed; 0 for none. */
  readonly droppedCount: number
}

/** The age of the archive, and the age after which versions expire. */
export interface Expiry {
  readonly ageMs: number
  readonly keepMs: number
}

/** Removes versions that expired by the age of the archive, and their history. */
export async function pruneVersions (init: PruneInit, { ageMs, keepMs }: Expiry): Promise<PruneOutcome> {
  const { area, store, hash, signal, step } = init
  // Syncs only add versions, so finding expired ones does not have to wait for them.
  const kept = await store.versions(area, ROOT_PATH)
  const ages = new Map<number, number>()
  for (const { count, bytes } of await store.history(area)) {
    const { start } = parseLog(bytes, hash)
    if (start !== undefined) ages.set(count, start.ageMs)
  }
  await recordAges(init, { kept, ages, ageMs })
  const expired = expiredVersions(kept.map(one => {
    const count = countOf(one)
    return { one, path: one.path, count, ageMs: ages.get(count) ?? ageMs }
  }), { ageMs, keepMs }).map(({ one }) => one)
  const deepestFirst = expired.sort((a, b) => b.path.length - a.path.length)
  for (let at = 0; at < deepestFirst.length; at += DROPPED_AT_ONCE) {
    signal.throwIfAborted()
    await step(() => store.dropVersions(area, deepestFirst.slice(at, at + DROPPED_AT_ONCE)))
  }
  await step(() => store.dropVersions(area, []))
  const old = [...ages].filter(([, countAgeMs]) => countAgeMs < ageMs - keepMs).map(([count]) => count)
  await step(() => store.dropHistory(area, old))
  const droppedCount = old.reduce((most, count) => Math.max(most, count), 0)
  await step(() => dropPoints(init, droppedCount))
  return { dropped: expired.filter(({ found }) => found.kind !== 'directory').length, droppedCount }
}

/** Forgets the points that need history which was dropped. The state after a sync needs that of later syncs, and not its own. */
async function dropPoints ({ area, store, hash }: PruneInit, droppedCount: number): Promise<void> {
  const points = parsePoints(await store.points(area), hash)
  const kept = points.filter(({ count }) => count >= droppedCount)
  if (kept.length < points.length) await store.replacePoints(area, encodePoints(kept, hash))
}

interface KnownAges {
  readonly kept: readonly KeptEntry[]
  /** The age of the archive at each sync with recorded history. */
  readonly ages: Map<number, number>
  readonly ageMs: number
}

/** Syncs without recorded history have an unknown age. From now on they count as if they had happened now. */
async function recordAges ({ area, store, hash }: PruneInit, { kept, ages, ageMs }: KnownAges): Promise<void> {
  for (const count of new Set(kept.map(countOf))) {
    if (ages.has(count)) continue
    ages.set(count, ageMs)
    await store.appendHistory(area, { count, bytes: encodeStart({ ms: NaN, ageMs }, hash) })
  }
}

function countOf ({ folder }: KeptEntry): number {
  return parseVersionFolder(folder)?.count ?? 0
}
