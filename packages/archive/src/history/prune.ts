import { ROOT_PATH } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ContentStore, KeptEntry } from '../store/content-store.ts'
import { expiredVersions } from './retention.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { encodePoint, parseLog } from './change-log.ts'

/** Versions dropped while a sync waits. */
const DROPPED_AT_ONCE = 500

export interface PruneInit {
  readonly area: string
  readonly store: Pick<ContentStore, 'versions' | 'dropVersions' | 'history' | 'appendHistory' | 'dropHistory'>
  readonly hash: HashBytes
  readonly signal: AbortSignal
  /** Does what changes versions while no sync runs. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>
}

/** What was dropped. */
export interface PruneOutcome {
  /** Versions, without directories. */
  readonly dropped: number
  /** The last sync of which nothing is remembered any more; 0 for none. */
  readonly droppedCount: number
}

/** Drops what is past keeping by the age of the archive, and what is remembered of it. */
export async function pruneVersions (pruning: PruneInit, { ageMs, keepMs }: { readonly ageMs: number, readonly keepMs: number }): Promise<PruneOutcome> {
  const { area, store, hash, signal, step } = pruning
  // Syncs only add to versions, so looking for what is past keeping does not hold them up.
  const kept = await store.versions(area, ROOT_PATH)
  const ages = new Map<number, number>()
  for (const { count, bytes } of await store.history(area)) {
    const { point } = parseLog(bytes, hash)
    if (point !== undefined) ages.set(count, point.ageMs)
  }
  await rememberAges(pruning, { kept, ages, ageMs })
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
  return { dropped: expired.filter(({ found }) => found.kind !== 'directory').length, droppedCount: old.reduce((most, count) => Math.max(most, count), 0) }
}

/** Of syncs that nothing is remembered of, nobody knows how old they are: they are taken for as young as may be, from now on. */
async function rememberAges ({ area, store, hash }: PruneInit, { kept, ages, ageMs }: { readonly kept: readonly KeptEntry[], readonly ages: Map<number, number>, readonly ageMs: number }): Promise<void> {
  for (const count of new Set(kept.map(countOf))) {
    if (ages.has(count)) continue
    ages.set(count, ageMs)
    await store.appendHistory(area, { count, bytes: encodePoint({ ms: NaN, ageMs }, hash) })
  }
}

function countOf ({ folder }: KeptEntry): number {
  return parseVersionFolder(folder)?.count ?? 0
}
