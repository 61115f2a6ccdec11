import type { Clock, HashBytes } from '@filesync/protocol'
import { ROOT_PATH } from '@filesync/protocol'
import type { AreaRecord } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { newAge } from '../store/archive-age.ts'
import { parseLog } from './change-log.ts'
import { parsePoints } from './point-log.ts'

export interface HistorySource {
  readonly area: string
  readonly store: Pick<ContentStore, 'history' | 'versions' | 'points'>
  readonly hash: HashBytes
  readonly clock: Pick<Clock, 'nowMs'>
}

/** The last sync and time in the history of an area. */
export type HistoryState = Required<Pick<AreaRecord, 'lastStampMs' | 'history'>>

/** Derives how far the history of an area goes from its stored versions and history, for an area that the index does not know. */
export async function findHistory ({ area, store, hash, clock }: HistorySource): Promise<HistoryState> {
  const logs = (await store.history(area)).map(({ count, bytes }) => ({ count, ...parseLog(bytes, hash) }))
  const folders = (await store.versions(area, ROOT_PATH)).flatMap(({ folder }) => parseVersionFolder(folder) ?? [])
  const points = parsePoints(await store.points(area), hash)
  const lastCount = [...logs, ...folders, ...points].reduce((most, { count }) => Math.max(most, count), 0)
  const lastMs = [...logs.filter(({ count }) => count === lastCount).map(({ start, changes }) => (
    changes.reduce((most, { atMs }) => atMs.reduce((late, ms) => Math.max(late, ms), most), start?.ms ?? 0)
  )), ...folders.filter(({ count }) => count === lastCount).map(({ stampMs }) => stampMs)]
  const firstCount = logs[0]?.count ?? folders.reduce((least, { count }) => Math.min(least, count), Infinity)
  const ageMs = logs.reduce((most, { start }) => Math.max(most, start?.ageMs ?? 0), 0)
  const age = newAge(clock.nowMs())
  return {
    lastStampMs: lastMs.reduce((most, ms) => Math.max(most, ms), 0),
    history: {
      lastCount,
      settledCount: points.at(-1)?.count ?? 0,
      droppedCount: firstCount === Infinity ? 0 : firstCount - 1,
      // Whether the time since then passed or the clock was set is unknown.
      age: ageMs === 0 ? age : { ...age, ageMs },
    },
  }
}
