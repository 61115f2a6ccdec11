import type { Clock } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex } from '../store/archive-index.ts'
import { brakeAfter, halted, judgePlan, NoiseBrake } from '../compare/brake.ts'
import type { Halt } from '../compare/brake.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Plan } from '../compare/plan.ts'
import type { ScopeRules } from '../compare/scope.ts'
import type { SyncPlanner } from '../compare/sync-planner.ts'
import type { SyncStatus } from './sync-status.ts'

export interface SyncBrakeInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly staging: string
  readonly record: AreaRecord
  readonly clock: Clock
  readonly planner: SyncPlanner
  readonly rules: ScopeRules
  readonly status: SyncStatus
}

/** Halts one sync if it would remove or replace too much, and records that in the index. */
export class SyncBrake {
  readonly #init: SyncBrakeInit
  #halt: Halt | undefined
  #recorded: Promise<void> = Promise.resolve()

  constructor (init: SyncBrakeInit) {
    this.#init = init
  }

  /** Why it halted the sync, once it has. */
  get halt (): Halt | undefined {
    return this.#halt
  }

  /** Resolves when the halt is in the index. */
  get recorded (): Promise<void> {
    return this.#recorded
  }

  /**
   * Throws HALTED if the sync would remove too much. If it may replace too much, which depends on content that is still to come, returns
   * the brake that inspects that content.
   */
  judge (plan: Pick<Plan, 'leaving' | 'replacing'>): NoiseBrake | undefined {
    const { area, clock, planner: { mirror, tree }, status } = this.#init
    const judged = judgePlan({ ...this.#init, mirror, tree, nowMs: () => clock.nowMs() }, plan)
    if (judged === undefined || judged instanceof NoiseBrake) return judged
    this.#halt = judged
    this.#recorded = this.#record(judged)
    this.#recorded.catch((error: unknown) => { status.fail(error) })
    throw halted(area, judged)
  }

  /** The rest of the record stays: it may say that the sync has placed something, or the brake may have been released meanwhile. */
  async #record (halt: Halt): Promise<void> {
    const { index, area, record } = this.#init
    const { halted: _halted, released: _released, releasedFor: _releasedFor, ...rest } = index.area(area) ?? record
    await index.write([{ area, record: { ...rest, ...brakeAfter(this.#init, { halt, isComplete: false }) } }])
  }
}
