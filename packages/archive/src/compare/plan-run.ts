import type { ArrivedListing, Digest, TimeSlice, RelativePath } from '@filesync/protocol'
import type { PlanRun, PlanRunOutcome, WantedListing } from '../sync-contract.ts'
import { halted, isReleased, judgeLeaving } from './brake.ts'
import type { Plan } from './plan.ts'
import { SyncPlanner } from './sync-planner.ts'
import type { SyncPlannerInit } from './sync-planner.ts'

export interface PlanRunInit extends Omit<SyncPlannerInit, 'partials'> {
  readonly rootDigest: Digest
  readonly nowMs: () => number
}

/** Compares as a sync does, and reports what that sync would do. Reads the index and writes nothing. */
export class AreaPlanRun implements PlanRun {
  readonly rootDigest: Digest
  readonly #init: PlanRunInit
  readonly #planner: SyncPlanner

  constructor (init: PlanRunInit) {
    this.#init = init
    this.rootDigest = init.rootDigest
    this.#planner = new SyncPlanner({ ...init, partials: new Map() })
  }

  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined> {
    return this.#planner.compare(arrived)
  }

  async finish ({ complete }: { readonly complete: boolean }, slice?: TimeSlice): Promise<PlanRunOutcome> {
    const plan = this.#planner.plan({ complete, digest: true })
    const { displaced, problems } = this.#planner.comparison
    const [added, changed, deleted] = [{ files: 0, bytes: 0 }, { files: 0, bytes: 0 }, { files: 0, bytes: 0 }]
    const replaced = new Set<RelativePath>(displaced.filter(({ how }) => how === 'replaced').map(({ path }) => path))
    for (let task = 0; task < plan.tasks.count; task++) {
      if (slice?.isOver === true) await slice.yieldThread()
      const how = plan.tasks.moves.get(task)?.how
      if (how === 'moved' || how === 'guessed') continue
      const file = plan.tasks.describe(task)
      const amount = replaced.size > 0 && replaced.has(file.path) ? changed : added
      amount.files++
      if (how !== 'linked' && !plan.tasks.links.isFollower(task)) amount.bytes += file.sizeBytes
    }
    for (const { entry } of plan.leaving) {
      deleted.files++
      deleted.bytes += entry.sizeBytes
    }
    return {
      added, changed, deleted,
      renamed: plan.moves.length,
      problems: problems.first,
      problemCount: problems.count,
      obstacle: this.#obstacle(plan),
    }
  }

  /** What would stop the sync before it stores anything. The content of files is not known yet, so encrypted ones are not noticed. */
  #obstacle (plan: Plan): string | undefined {
    const { area, record, rules } = this.#init
    if (isReleased(record, rules)) return undefined
    const tooMany = judgeLeaving({ ...this.#init, leaving: plan.leaving, mirror: this.#planner.mirror })
    if (tooMany !== undefined) return halted(area, tooMany).message
    if (record.halted?.tree !== undefined && record.halted.tree === this.#planner.tree) return halted(area, record.halted).message
    return undefined
  }
}
