import { FileSyncError } from '@filesync/protocol'
import type { ArrivedListing, Digest, FileDigest, ReuseBuffer, StagedFile, StageOutcome } from '@filesync/protocol'
import type { PlanOptions, PresentFile, StoredSoFar, Sync, SyncOutcome, SyncPlan, WantedListing } from '../sync-contract.ts'
import { SyncPlanner } from '../compare/sync-planner.ts'
import { differenceSince } from '../history/point-difference.ts'
import { encodePoints } from '../history/point-log.ts'
import { nextPosition } from '../store/position.ts'
import { brakeAfter } from '../compare/brake.ts'
import { PlannedSync } from './planned-sync.ts'
import { PresentFiles } from './present-files.ts'
import { StoredProgress } from './stored-progress.ts'
import { SyncBrake } from './sync-brake.ts'
import type { SyncContext, SyncInit } from './sync-context.ts'
import { inheritedAfter } from './sync-record.ts'
import { SyncStatus } from './sync-status.ts'

/**
 * One sync of one area. Until `plan` it compares the client's listings ({@link SyncPlanner}); `plan` makes what stores the files
 * ({@link PlannedSync}).
 *
 * A file counts as stored once its batch is recorded (batch-recorder.ts). Before that it is staged (stager.ts), journaled, and moved to its
 * place durably (mirror-steps.ts), in batches (committer.ts). The index lists it when nothing more can happen in its directory
 * (directory-ledger.ts); until then the journal does.
 */
export class AreaSync implements Sync {
  readonly #context: SyncContext
  #planned: PlannedSync | undefined

  constructor (init: SyncInit) {
    const { index, area, store, history, record, clock } = init
    const status = new SyncStatus(init.signal)
    const planner = new SyncPlanner({ ...init, traits: store.traits })
    this.#context = {
      ...init,
      began: nextPosition(history.lastCount, { lastMs: record.lastStampMs, nowMs: clock.nowMs() }),
      status,
      planner,
      brake: new SyncBrake({ ...init, planner, status }),
      present: new PresentFiles({ area, index, store }),
      progress: new StoredProgress(),
    }
  }

  get rootDigest (): Digest {
    return this.#context.rootDigest
  }

  get stored (): StoredSoFar {
    return this.#context.progress.stored
  }

  get onStored (): Sync['onStored'] {
    return this.#context.progress.onStored
  }

  set onStored (onStored: Sync['onStored']) {
    this.#context.progress.onStored = onStored
  }

  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined> {
    this.#context.status.ensureRunning()
    return this.#context.planner.compare(arrived)
  }

  plan (options: PlanOptions): SyncPlan {
    const { status, planner, brake } = this.#context
    status.ensureRunning()
    if (this.#planned !== undefined) throw new FileSyncError('INTERNAL', 'A sync can be planned only once.')
    const plan = planner.plan(options)
    const noise = brake.judge(plan)
    this.#planned = new PlannedSync({ ...this.#context, plan, noise, complete: options.complete })
    return this.#planned.describePlan()
  }

  present (task: number): PresentFile | undefined {
    return this.#storing.present(task)
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]> {
    return await this.#storing.stager.stagePack(pack, reuse)
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    return await this.#storing.stager.compareDigests(files)
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    return await this.#storing.stager.beginFile(task, offset)
  }

  async finish (): Promise<SyncOutcome> {
    this.#context.status.ensureRunning()
    try {
      if (this.#planned !== undefined) return await this.#planned.finish()
      await this.#settle()
      return { files: 0, bytes: 0, deleted: 0, renamed: 0, problems: [], problemCount: 0 }
    } finally {
      await this.#end()
    }
  }

  async abandon (): Promise<void> {
    if (this.#context.status.isOver) return
    try {
      if (this.#planned !== undefined) await this.#planned.abandon()
      else await this.#context.brake.recorded
    } finally {
      await this.#end()
    }
  }

  /**
   * The client has what is stored, so the brake has nothing to halt or to release in its folders. What syncs that ended early stored, or a
   * recovery after them, is complete now.
   */
  async #settle (): Promise<void> {
    const { index, area, store, record, history, began, hash } = this.#context
    const isSettled = history.settledCount === history.lastCount
    if (isSettled && record.halted === undefined && record.released === undefined) return
    if (!isSettled) {
      const { hasChanged, ...difference } = await differenceSince(this.#context, history.settledCount)
      const point = { count: history.lastCount, atMs: began.ms, ...difference }
      if (hasChanged) await store.appendPoints(area, encodePoints([point], hash))
      await store.makeDurable()
    }
    const lastStampMs = isSettled ? record.lastStampMs : began.ms
    const remembered = { ...brakeAfter(this.#context, { halt: undefined, isComplete: true }), ...inheritedAfter(this.#context) }
    const settled = { ...history, settledCount: history.lastCount }
    await index.write([{ area, record: { ...remembered, open: false, lastStampMs, history: settled } }])
  }

  async #end (): Promise<void> {
    const { status, ended } = this.#context
    if (status.isOver) return
    status.end()
    await this.#planned?.idle()
    ended()
  }

  get #storing (): PlannedSync {
    this.#context.status.ensureRunning()
    if (this.#planned === undefined) throw new FileSyncError('INTERNAL', 'A sync must be planned before it stores anything.')
    return this.#planned
  }
}
