import { asFileSyncError, problem } from '@filesync/protocol'
import type { RelativePath, Task } from '@filesync/protocol'
import type { PresentFile, SyncOutcome, SyncPlan } from '../sync-contract.ts'
import { halted, untilHalted } from '../compare/brake.ts'
import type { NoiseBrake } from '../compare/brake.ts'
import { diskShortage, unfitRetries } from '../compare/fit-files.ts'
import { groupedNames } from '../compare/links.ts'
import { withoutMoveSources } from '../compare/moves.ts'
import type { ComparedDirectories } from '../compare/compared-directories.ts'
import type { Move } from '../compare/moves.ts'
import type { Plan } from '../compare/plan.ts'
import { neededBytes } from '../compare/room.ts'
import { countLeft } from '../compare/unfinished.ts'
import { ChangeHistory } from '../history/change-history.ts'
import { BatchRecorder } from './batch-recorder.ts'
import { Committer } from './committer.ts'
import { DirectoryLedger } from './directory-ledger.ts'
import { addRemovalFailures, withoutFailed } from './failures.ts'
import { MirrorSteps } from './mirror-steps.ts'
import { PendingStructure } from './pending-structure.ts'
import { prepareMirror } from './prepare-mirror.ts'
import { Stager } from './stager.ts'
import { StagingFolders } from './staging-folders.ts'
import type { SyncContext } from './sync-context.ts'
import { SyncRecord } from './sync-record.ts'

export interface PlannedSyncInit extends SyncContext {
  readonly plan: Plan
  /** Present if so much would be replaced that its content has to be inspected. */
  readonly noise: NoiseBrake | undefined
  /** Whether what the client did not list is gone. */
  readonly complete: boolean
}

/** Stores what a planned sync receives, and removes what the plan says. */
export class PlannedSync {
  /** Takes what the client sends. */
  readonly stager: Stager
  readonly #init: PlannedSyncInit
  readonly #folders: StagingFolders
  readonly #structure: PendingStructure
  readonly #ledger: DirectoryLedger
  readonly #changes: ChangeHistory
  readonly #steps: MirrorSteps
  readonly #record: SyncRecord
  readonly #prepared: Promise<unknown>
  readonly #committer: Committer
  /** Files that seemed to move, and leave the mirror instead. */
  #lostMoves = 0

  constructor (init: PlannedSyncInit) {
    this.#init = init
    const { plan, planner: { comparison: { directories, problems } } } = init
    const folders = new StagingFolders(directories, stagedElsewhere(plan))
    const structure = new PendingStructure(directories)
    const ledger = new DirectoryLedger({ ...init, directories }, plan)
    const changes = new ChangeHistory({ ...init, isNew: directory => isNewIn(directories, directory) })
    const steps = new MirrorSteps({ ...init, history: changes, folders })
    const recorder = new BatchRecorder({ ...init, ledger, problems })
    const record = new SyncRecord({ ...init, changes, ledger, steps })
    // Starts here: the committer places nothing before it is done.
    const prepared = prepareMirror({ ...init, ledger, steps }, record)
    const committer = new Committer({ ...init, steps, recorder, structure, folders, prepared })
    this.stager = new Stager({ ...init, tasks: plan.tasks, ledger, folders, committer, moved: prepared, problems })
    this.#folders = folders
    this.#structure = structure
    this.#ledger = ledger
    this.#changes = changes
    this.#steps = steps
    this.#record = record
    this.#prepared = prepared
    this.#committer = committer
  }

  /** What `Sync.plan` returns. */
  describePlan (): SyncPlan {
    const { plan, noise, planner } = this.#init
    return {
      tasks: noise === undefined ? plan.tasks : untilHalted(plan.tasks, noise),
      taskCount: plan.tasks.count,
      retryTasks: () => this.#retryTasks(),
      describe: task => plan.tasks.describe(task),
      bytes: neededBytes(planner.comparison, plan),
      renamed: plan.moves.length,
      vanishing: plan.leaving.length,
      unfit: plan.unfit,
    }
  }

  present (task: number): PresentFile | undefined {
    return this.#init.present.find(this.#init.plan.tasks.describe(task).path)
  }

  async finish (): Promise<SyncOutcome> {
    const { client, noise, complete, area, store, progress, planner: { comparison: { problems } } } = this.#init
    await this.#stopStaging()
    await this.#committer.flush()
    if (client?.aborted === true && this.#structure.isLeft) await this.#endWithoutClient(client)
    if (noise !== undefined) await this.#placeHeldBack(noise)
    this.stager.reportMissingLinks()
    const unproven = this.stager.unprovenMoves()
    const deleted = await this.#remove(unproven)
    const hasHalfMoved = unproven.length > 0
    if (complete) await this.#record.close({ hasHalfMoved })
    else await this.#record.closeEarly({ hasHalfMoved, isCompleted: true })
    await store.retainPartials(area, this.stager.partials)
    // A disk may have been mounted over the archive while files arrived.
    await store.ensurePresent('path')
    return { ...progress.stored, deleted, problems: problems.first, problemCount: problems.count }
  }

  /** Commits what is staged, and removes nothing. */
  async abandon (): Promise<void> {
    const { brake, status, plan, progress } = this.#init
    this.#committer.endEarly()
    await brake.recorded
    await this.#stopStaging()
    // A sync that failed has reported why. The journal lets the next one finish what it left.
    if (status.failure.aborted) return
    await this.#committer.flush()
    await this.#record.closeEarly()
    progress.setDeleted(countLeft(this.#init, plan))
  }

  /** Resolves when nothing is being committed. */
  async idle (): Promise<void> {
    await this.#committer.idle()
  }

  /** Tasks for files whose digest differs from that of the stored copy: their content is asked for after all. */
  #retryTasks (): Iterable<Task> {
    const { plan, noise, planner: { comparison }, roomBytes } = this.#init
    // Not all other tasks were asked for, so these would have other numbers.
    if (noise?.halted !== undefined) return []
    const { tasks } = plan
    this.stager.retryLinked()
    this.#judgeLostMoves()
    const unfit = unfitRetries(roomBytes - tasks.copiedBytes - neededBytes(comparison, plan), plan)
    for (const task of unfit.tasks) {
      const { path, sizeBytes } = tasks.describe(task)
      comparison.problems.add(problem(path, 'NO_ROOM', diskShortage(sizeBytes, unfit.leftBytes)))
      const { directory: { owner, directory } } = tasks.at(task)
      this.#folders.endFiles(owner, 1, 0)
      this.#ledger.endTasks(directory, 1)
    }
    tasks.dropRetries(unfit.tasks)
    return tasks.retryTasks()
  }

  /** Files that seemed to move, but have other content, leave the mirror. Throws HALTED if too many do. */
  #judgeLostMoves (): void {
    const { plan, brake } = this.#init
    const failed = new Set(plan.tasks.tasksToRetry().map(task => plan.tasks.moves.get(task)?.from))
    for (const move of plan.moves) if (this.stager.isProven(move)) failed.delete(move.from)
    const lost = plan.moving.filter(({ path }) => failed.has(path))
    if (lost.length === 0) return
    this.#lostMoves = lost.length
    brake.judge({ leaving: [...plan.leaving, ...lost], replacing: 0 })
  }

  /** Places what was held back, or throws HALTED if it is too much. */
  async #placeHeldBack (noise: NoiseBrake): Promise<void> {
    if (noise.halted !== undefined) {
      await this.#record.closeEarly()
      throw halted(this.#init.area, noise.halted)
    }
    for (const held of noise.takeHeld()) await this.#committer.commit(held)
  }

  /** The client left before everything was placed: the rest is not placed, and nothing is removed. */
  async #endWithoutClient (client: AbortSignal): Promise<never> {
    await this.#record.closeEarly()
    throw asFileSyncError(client.reason, 'PEER_GONE')
  }

  /**
   * Moves to versions what the client no longer has, and returns how many files that are.
   *
   * @param unproven files that stay in place until it is known where they moved
   */
  async #remove (unproven: readonly Move[]): Promise<number> {
    const { plan, planner: { comparison: { problems } } } = this.#init
    const deleted = plan.leaving.length + this.#lostMoves
    const removals = withoutMoveSources(plan.removals, unproven)
    const forgotten = withoutMoveSources(plan.forgotten, unproven)
    this.#ledger.addRemoved(undefined, forgotten)
    await this.#changes.recordReleased(forgotten)
    if (removals.length === 0) return deleted
    const { journal, failures } = await this.#steps.remove(removals)
    addRemovalFailures(problems, failures, removals)
    this.#ledger.addRemoved(journal, withoutFailed(removals, failures))
    return deleted
  }

  /** Waits until nothing is being staged or prepared. */
  async #stopStaging (): Promise<void> {
    await this.stager.stop()
    await Promise.allSettled([this.#prepared])
  }
}

function isNewIn (directories: ComparedDirectories, directory: RelativePath): boolean {
  const owner = directories.ownerOf(directory)
  return owner !== undefined && directories.isNew(owner)
}

/** The numbers of directories with files that move or are names of one file: the names in staging of these are numbers. */
function stagedElsewhere ({ moves, links }: Plan): Set<number> {
  const found = new Set([...moves, ...links.stored].map(({ directory: { owner } }) => owner))
  for (const { owner } of groupedNames(links.groups, 'all')) found.add(owner)
  return found
}
