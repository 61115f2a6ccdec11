import { ROOT_PATH, toHex } from '@filesync/protocol'
import type { ArrivedListing, Digest, HashBytes, Pace, RelativePath } from '@filesync/protocol'
import type { AreaRecord } from '../store/archive-index.ts'
import type { PlanRun, PlanRunOutcome, WantedListing } from '../archive.ts'
import { BRAKE_FILES, brakeHolds, halted } from './brake.ts'
import { Comparison } from './comparison.ts'
import type { StoreTraits } from '../store/content-store.ts'
import { fitFiles } from './fit-files.ts'
import { makePlan } from './plan.ts'
import type { Plan } from './plan.ts'
import type { Room } from './room.ts'
import { StoredAmount } from './stored-amount.ts'
import { movedBefore } from './unfinished.ts'

export interface PlanRunInit extends Room {
  readonly traits: StoreTraits
  readonly hash: HashBytes
  readonly deletions: 'mirror' | 'archive'
  readonly record: AreaRecord
  readonly rootDigest: Digest
  readonly nowMs: () => number
}

/** Compares as a sync does, and tells what it would do. Reads the index and writes nothing. */
export class AreaPlanRun implements PlanRun {
  readonly rootDigest: Digest
  readonly #init: PlanRunInit
  readonly #comparison: Comparison
  readonly #amount: StoredAmount
  #tree = ''

  constructor (init: PlanRunInit) {
    this.#init = init
    this.rootDigest = init.rootDigest
    this.#comparison = new Comparison(init.index, init.area, init.traits)
    this.#amount = new StoredAmount(init)
  }

  * compare (arrived: ArrivedListing): Generator<WantedListing | undefined, void, undefined> {
    if (arrived.directory === ROOT_PATH) this.#tree = toHex(this.#init.hash(arrived.bytes))
    yield * this.#comparison.add(arrived)
    yield * this.#amount.count(this.#comparison)
  }

  async finish ({ complete }: { readonly complete: boolean }, pace?: Pace): Promise<PlanRunOutcome> {
    const { deletions, hash } = this.#init
    const plan = makePlan(this.#comparison, {
      complete, deletions, partials: new Map(), hash, digest: true,
      fit: draft => fitFiles({ ...this.#init, mirror: () => this.#amount.size }, this.#comparison, draft),
      movedBefore: leaving => movedBefore(this.#init, this.#comparison.displaced, leaving),
    })
    const [added, changed, deleted] = [{ files: 0, bytes: 0 }, { files: 0, bytes: 0 }, { files: 0, bytes: 0 }]
    const replaced = new Set<RelativePath>(this.#comparison.displaced.filter(({ how }) => how === 'replaced').map(({ path }) => path))
    for (let task = 0; task < plan.tasks.count; task++) {
      if (pace?.isDue === true) await pace.pause()
      if (plan.tasks.moves.has(task)) continue
      const file = plan.tasks.describe(task)
      const amount = replaced.size > 0 && replaced.has(file.path) ? changed : added
      amount.files++
      amount.bytes += file.sizeBytes
    }
    for (const { entry } of plan.leaving) {
      deleted.files++
      deleted.bytes += entry.sizeBytes
    }
    const { first: problems, count: problemCount } = this.#comparison.problems
    return { added, changed, deleted, renamed: plan.moves.length, problems, problemCount, obstacle: this.#obstacle(plan) }
  }

  /** What would stop the sync before it stores anything. What files hold is not known yet, so encrypted ones are not noticed. */
  #obstacle (plan: Plan): string | undefined {
    const { area, record, nowMs } = this.#init
    if (record.released !== true) {
      const vanishing = plan.leaving.length
      const stored = vanishing > BRAKE_FILES ? this.#amount.size.files : 0
      if (vanishing > BRAKE_FILES && brakeHolds(vanishing, stored)) return halted(area, { atMs: nowMs(), vanishing, of: stored }).message
      if (record.halted?.tree !== undefined && record.halted.tree === this.#tree) return halted(area, record.halted).message
    }
    return undefined
  }
}
