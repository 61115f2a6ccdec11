import type { AreaRecord, IndexWrite } from '../store/archive-index.ts'
import { brakeAfter } from '../compare/brake.ts'
import type { NoiseBrake } from '../compare/brake.ts'
import type { Plan } from '../compare/plan.ts'
import type { ChangeHistory } from '../history/change-history.ts'
import { encodeStart } from '../history/change-log.ts'
import { differenceSince } from '../history/point-difference.ts'
import type { PointDifference } from '../history/point-difference.ts'
import type { HistoryState } from '../history/find-history.ts'
import { encodePoints } from '../history/point-log.ts'
import { hasDamage, repairedWrites } from '../store/damage.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import type { MirrorSteps } from './mirror-steps.ts'
import type { SyncContext } from './sync-context.ts'

/** What an area remembers of a sync beyond what it stored. */
type Remembered = Pick<AreaRecord, 'halted' | 'released' | 'releasedFor' | 'hasHalfMoved' | 'inherited'>

export interface SyncRecordInit extends SyncContext {
  readonly plan: Plan
  readonly noise: NoiseBrake | undefined
  readonly changes: ChangeHistory
  readonly ledger: DirectoryLedger
  readonly steps: MirrorSteps
}

/** How a sync ended. */
interface SyncEnd {
  /** A moved file is still at its old path too. */
  readonly hasHalfMoved?: boolean
  /** Everything that was planned for what the client listed is done, so the state is a point if anything changed. */
  readonly isCompleted?: boolean
}

/** The folders of another machine that the client has not continued completely yet, after a completed sync. */
export function inheritedAfter ({ record, rules }: Pick<SyncContext, 'record' | 'rules'>): Pick<AreaRecord, 'inherited'> {
  const inherited = record.inherited?.filter(folder => !rules.finishes(folder)) ?? []
  return inherited.length === 0 ? {} : { inherited }
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
      store.appendHistory(area, { count, bytes: encodeStart({ ms, ageMs: history.age.ageMs }, hash) }),
    ])
  }

  /** The sync did all that was planned. */
  async close ({ hasHalfMoved }: { readonly hasHalfMoved: boolean }): Promise<void> {
    // The release of the brake, if there was one, is used up.
    const remembered = brakeAfter(this.#init, { halt: undefined, isComplete: true })
    await this.#close({ ...remembered, ...inheritedAfter(this.#init), ...(hasHalfMoved && { hasHalfMoved }) }, true)
  }

  /** The sync removed nothing, or did not get to its end. */
  async closeEarly ({ hasHalfMoved = false, isCompleted = false }: SyncEnd = {}): Promise<void> {
    await this.#close({ ...this.#early, ...(hasHalfMoved && { hasHalfMoved }) }, isCompleted)
  }

  /** What is remembered until the sync gets to its end. */
  get #early (): Remembered {
    const { plan, record, brake, noise } = this.#init
    const { inherited } = record
    const hasHalfMoved = plan.moves.length > 0 || record.hasHalfMoved === true
    const brakes = brakeAfter(this.#init, { halt: brake.halt ?? noise?.halted, isComplete: false })
    return { ...brakes, ...(hasHalfMoved && { hasHalfMoved }), ...(inherited !== undefined && { inherited }) }
  }

  get #reached (): HistoryState {
    const { changes, history, began } = this.#init
    return { lastStampMs: changes.lastMs, history: { ...history, lastCount: began.count } }
  }

  /** The area was in the state of its last point when this sync began. */
  get #wasSettled (): boolean {
    const { settledCount, lastCount } = this.#init.history
    return settledCount === lastCount
  }

  async #close (remembered: Remembered, isCompleted: boolean): Promise<void> {
    const { index, store, area, staging, began, ledger, steps, present, planner, changes } = this.#init
    for (const states of ledger.directoryStates()) await store.applyDirectoryStates(area, states)
    // Everything that the sync placed is durable by now; the point becomes so together with what it removed.
    if (isCompleted && this.#wasSettled && changes.tally.hasChanged) await this.#addPoint(this.#difference)
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
    if (isCompleted && !this.#wasSettled) {
      await index.write(writes.splice(0))
      await this.#addPointWithEarlier()
    }
    const isSettled = isCompleted || (this.#wasSettled && !changes.tally.hasChanged)
    const { lastStampMs, history } = this.#reached
    const settled = { ...history, ...(isSettled && { settledCount: began.count }) }
    const record: AreaRecord = { ...remembered, open: false, staging, lastStampMs, history: settled }
    await index.write([...writes, ...repairedWrites(index, area, began.ms), { area, record }])
    await index.write(present.writes(planner.comparison.displaced))
    await store.discard(staging)
  }

  /** What this sync changed. */
  get #difference (): PointDifference {
    const { progress: { placed }, changes: { tally } } = this.#init
    return {
      added: placed.files - tally.replaced - tally.same,
      replaced: tally.replaced,
      removed: tally.removed,
      bytes: placed.bytes - tally.sameBytes,
    }
  }

  /** Earlier syncs ended early: what they changed belongs to this point. Call it when the index lists everything. */
  async #addPointWithEarlier (): Promise<void> {
    const { history, store } = this.#init
    const { hasChanged, ...difference } = await differenceSince(this.#init, history.settledCount)
    if (!hasChanged) return
    await this.#addPoint(difference)
    await store.makeDurable()
  }

  async #addPoint (difference: PointDifference): Promise<void> {
    const { store, area, hash, began, changes } = this.#init
    await store.appendPoints(area, encodePoints([{ count: began.count, atMs: changes.now(), ...difference }], hash))
  }
}
