import type { Clock } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { ChangeHistory } from '../history/change-history.ts'
import type { Position } from '../store/position.ts'
import { withoutFailures } from '../store/section.ts'
import type { Batch, EntryFailure, Removal, Section } from '../store/section.ts'
import type { StagingFolders } from './staging-folders.ts'

export interface MirrorStepsInit {
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly area: string
  readonly staging: string
  readonly began: Position
  readonly history: ChangeHistory
  readonly folders: StagingFolders
}

/** A batch that is durable in the mirror, except for the failures. */
export interface PlacedBatch {
  /** Number of its journal entry. */
  readonly journal: number
  readonly sections: readonly Section[]
  /** The sections without the failures. */
  readonly placed: readonly Section[]
  readonly failures: readonly EntryFailure[]
}

export interface RemovedBatch {
  /** Number of its journal entry. */
  readonly journal: number
  readonly failures: readonly EntryFailure[]
}

/**
 * The steps by which a sync changes the mirror. Before each one, its content is durable in staging and the step is in the journal;
 * after it, the history records what it replaced. A crash at any moment leaves a journal that the next start can finish.
 */
export class MirrorSteps {
  readonly #init: MirrorStepsInit
  #count = 0

  constructor (init: MirrorStepsInit) {
    this.#init = init
  }

  /** How many steps were journaled. */
  get count (): number {
    return this.#count
  }

  /** Moves staged content to its places. Resolves when it is durable there. */
  async place (sections: readonly Section[]): Promise<PlacedBatch> {
    const { store, area, history } = this.#init
    const { batch, journal } = await this.#write(sections, [])
    const outcome = await store.place(area, batch, 'first')
    const { failures } = outcome
    await history.recordPlaced(sections, { number: journal, outcome })
    await store.makeDurable()
    return { journal, sections, placed: withoutFailures(sections, failures), failures }
  }

  /** Moves names to versions, after everything is placed. */
  async remove (removals: readonly Removal[]): Promise<RemovedBatch> {
    const { removed } = await this.#remove(removals)
    return removed
  }

  /** Moves names to versions before anything is placed that may take their places. */
  async evict (removals: readonly Removal[]): Promise<RemovedBatch> {
    const { index, store, area } = this.#init
    const { batch, removed } = await this.#remove(removals)
    // Before anything is placed: if names are folded, a recovery cannot distinguish what was to go from what replaced it.
    await store.makeDurable()
    await index.write([{ area, journal: removed.journal, batch: { ...batch, areRemoved: true } }])
    return removed
  }

  /** Writes that empty the journal. */
  clearJournal (): IndexWrite[] {
    return Array.from({ length: this.#count }, (_, journal) => ({ area: this.#init.area, journal, batch: undefined }))
  }

  async #remove (removals: readonly Removal[]): Promise<{ readonly batch: Batch, readonly removed: RemovedBatch }> {
    const { store, area, history } = this.#init
    const { batch, journal } = await this.#write([], removals)
    const outcome = await store.remove(area, batch)
    await history.recordRemoved(removals, { number: journal, outcome })
    return { batch, removed: { journal, failures: outcome.failures } }
  }

  async #write (sections: readonly Section[], removals: readonly Removal[]): Promise<{ readonly batch: Batch, readonly journal: number }> {
    const { index, store, clock, area, staging, began: { count, ms }, folders } = this.#init
    const begunMs = Math.max(ms, clock.nowMs())
    const batch: Batch = { staging, count, stampMs: ms, begunMs, sections, removals, wholeFolders: folders.wholeIn(sections) }
    const journal = this.#count++
    await Promise.all([store.makeDurable(), index.write([{ area, journal, batch }])])
    return { batch, journal }
  }
}
