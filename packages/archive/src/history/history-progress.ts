import type { Clock, HashBytes } from '@filesync/protocol'
import { advanceAge } from '../store/archive-age.ts'
import type { ArchiveAge } from '../store/archive-age.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import { findHistory } from './find-history.ts'
import type { HistoryState } from './find-history.ts'

export interface HistoryProgressInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
}

/** Knows the last sync in the history of an area, and how old its archive is by now. */
export class HistoryProgress {
  readonly #init: HistoryProgressInit
  /** The age of the archive, and the monotonic time of this process at which it had that age. */
  #age: { readonly age: ArchiveAge, readonly ranToMs: number } | undefined

  constructor (init: HistoryProgressInit) {
    this.#init = init
  }

  /** The present progress. It is derived from the stored versions and history if the index does not have it. */
  async read (): Promise<HistoryState> {
    const { area, index, clock } = this.#init
    const record = index.area(area)
    const { lastStampMs, history } = record?.history === undefined ? await findHistory(this.#init) : { ...record, history: record.history }
    const known = this.#age ?? { age: history.age, ranToMs: clock.monotonicMs() }
    const ranToMs = clock.monotonicMs()
    const age = advanceAge(known.age, { nowMs: clock.nowMs(), ranMs: ranToMs - known.ranToMs })
    this.#age = { age, ranToMs }
    return { lastStampMs, history: { ...history, age } }
  }

  /**
   * Writes the present progress to the index, unless the area was never synced. Resolves to the age of the archive, milliseconds.
   *
   * @param droppedCount the last sync whose history was dropped; 0 for none
   */
  async write (droppedCount: number): Promise<number> {
    const { area, index } = this.#init
    const record = index.area(area)
    const { lastStampMs, history } = await this.read()
    const { ageMs } = history.age
    if (record === undefined) return ageMs
    const updated = { ...history, droppedCount: Math.max(history.droppedCount, droppedCount) }
    await index.write([{ area, record: { ...record, lastStampMs, history: updated } }])
    return ageMs
  }
}
