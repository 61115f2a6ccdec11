import type { Fact } from '../store/facts.ts'
import { alteredWrites } from '../store/damage.ts'
import { stageMoves } from '../compare/moves.ts'
import { neededBytes } from '../compare/room.ts'
import type { Plan } from '../compare/plan.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import { addRemovalFailures } from './failures.ts'
import type { MirrorSteps } from './mirror-steps.ts'
import type { SyncContext } from './sync-context.ts'
import type { SyncRecord } from './sync-record.ts'

export interface PrepareInit extends SyncContext {
  readonly plan: Plan
  readonly ledger: DirectoryLedger
  readonly steps: MirrorSteps
}

/**
 * Does what has to precede the first placed file: files that move or have further names get a second name in staging before anything can
 * take their place, and names in the way are moved to versions. Resolves with the facts of the former, by their numbers in staging.
 */
export async function prepareMirror (init: PrepareInit, syncRecord: SyncRecord): Promise<ReadonlyMap<number, Fact>> {
  const { index, clock, plan, planner, steps, ledger } = init
  await syncRecord.open()
  const roomBytes = init.roomBytes - neededBytes(planner.comparison, plan)
  const { moved, altered, copiedBytes } = await stageMoves({ ...init, roomBytes }, [...plan.moves, ...plan.links.stored])
  plan.tasks.copiedBytes = copiedBytes
  if (altered.length > 0) await index.write(alteredWrites({ ...init, nowMs: clock.nowMs() }, altered))
  if (plan.evictions.length > 0) {
    const { journal, failures } = await steps.evict(plan.evictions)
    addRemovalFailures(planner.comparison.problems, failures, plan.evictions)
    ledger.addRemoved(journal, plan.evictions)
  }
  return moved
}
