import type { AreaRecord, IndexWrite } from '../store/archive-index.ts'
import { brakeAfter } from '../compare/brake.ts'
import type { NoiseBrake } from '../compare/brake.ts'
import type { Plan } from '../compare/plan.ts'
import type { ChangeHistory } from '../history/change-history.ts'
import { encodePoint } from '../history/change-log.ts'
import { hasDamage, repairedWrites } from '../store/damage.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import type { MirrorSteps } from './mirror-steps.ts'
import type { SyncContext } from './sync-context.ts'

/** What an area remembers of a sync beyond what it stored. */
type Remembered = Pick<AreaRecord, 'halted' | 'released' | 'hasHalfMoved'>

export interface SyncRecordInit extends SyncContext {
  readonly plan: Plan
  readonly noise: NoiseBrake | undefined
  readonly changes: ChangeHistory
  readonly ledger: DirectoryLedger
  readonly steps: MirrorSteps
}

/** Records in the index that a sync is under way, and at its end what it came to. */
export class SyncRecord {
  readonly #init: SyncRecordInit

  constructor (init: SyncRecordInit) {
    this.#init = init
  }

  /** Before the first change of the mirror: if the process ends from here on, the next start finishes what is in the journal. */
  async open (): Promise<void> {
    const { index, store, area, staging, history, hash, began: { count, ms } } = this.#init
    await Promise.all([
      index.write([{ area, record: { ...this.#early, open: true, staging, ...this.#reached } }]),
      store.appendHistory(area, { count, bytes: encodePoint({ ms, ageMs: history.age.ageMs }, hash) }),
    ])
  }

  /** The sync did all that was planned. */
  async close ({ hasHalfMoved }: { readonly hasHalfMoved: boolean }): Promise<void> {
    // The release of the brake, if there was one, is used up.
    await this.#close({ ...brakeAfter(this.#init, { halt: undefined, isComplete: true }), ...(hasHalfMoved && { hasHalfMoved }) })
  }

  /** The sync removed nothing, or did not get to its end. */
  async closeEarly ({ hasHalfMoved = false }: { readonly hasHalfMoved?: boolean } = {}): Promise<void> {
    await this.#close({ ...this.#early, ...(hasHalfMoved && { hasHalfMoved }) })
  }

  /** What is remembered until the sync gets to its end. */
  get #early (): Remembered {
    const { plan, record, brake, noise } = this.#init
    const hasHalfMoved = plan.moves.length > 0 || record.hasHalfMoved === true
    return { ...brakeAfter(this.#init, { halt: brake.halt ?? noise?.halted, isComplete: false }), ...(hasHalfMoved && { hasHalfMoved }) }
  }

  get #reached (): Pick<AreaRecord, 'lastStampMs' | 'history'> {
    const { changes, history, began } = this.#init
    return { lastStampMs: changes.lastMs, history: { ...history, lastCount: began.count } }
  }

  async #close (remembered: Remembered): Promise<void> {
    const { index, store, area, staging, began, ledger, steps, present, planner } = this.#init
    for (const states of ledger.directoryStates()) await store.applyDirectoryStates(area, states)
    await store.makeDurable()
    let writes: IndexWrite[] = []
    for (const more of ledger.takeRest()) {
      // If the process ends between two of these, the record is still open: the next start makes the digests consistent.
      if (writes.length > 0) await index.write(writes)
      writes = more
    }
    writes = [...writes, ...steps.clearJournal()]
    // What was mended is known only after these writes.
    if (hasDamage(index, area)) await index.write(writes.splice(0))
    const record: AreaRecord = { ...remembered, open: false, staging, ...this.#reached }
    await index.write([...writes, ...repairedWrites(index, area, began.ms), { area, record }])
    await index.write(present.writes(planner.comparison.displaced))
    await store.discard(staging)
  }
}
