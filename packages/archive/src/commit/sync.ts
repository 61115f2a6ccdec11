import { asFileSyncError, FileSyncError, problem, ROOT_PATH, toHex } from '@filesync/protocol'
import type {
  ArrivedListing, Clock, Digest, FileDigest, HashBytes, ProblemList, ReuseBuffer, StagedFile, StageOutcome, Task,
} from '@filesync/protocol'
import { Answers } from './answers.ts'
import type { AreaHistory, AreaRecord, ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { PlanOptions, PresentFile, StoredSoFar, Sync, SyncOutcome, SyncPlan, WantedListing } from '../archive.ts'
import { brakeAfter, halted, judgePlan, NoiseBrake, untilHalted } from '../compare/brake.ts'
import type { Halt } from '../compare/brake.ts'
import { Committer } from './committer.ts'
import type { PlacedBatch } from './committer.ts'
import { Comparison } from '../compare/comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import { alteredWrites, hasDamage, mendedWrites } from '../store/damage.ts'
import { diskLack, fitFiles, unfitAgain } from '../compare/fit-files.ts'
import { encodePoint } from '../history/change-log.ts'
import { ChangeHistory } from '../history/change-history.ts'
import { nextPosition } from '../store/position.ts'
import type { Position } from '../store/position.ts'
import { Ledger } from './ledger.ts'
import { wantAltered } from '../upkeep/mirror-check.ts'
import type { Fact } from '../store/facts.ts'
import { movedPlaces, stageMoves, withoutSources } from '../compare/moves.ts'
import type { Move } from '../compare/moves.ts'
import { PendingStructure } from './pending-structure.ts'
import { countPlaced, makePlan } from '../compare/plan.ts'
import type { Plan } from '../compare/plan.ts'
import { PresentFiles } from './present-files.ts'
import { neededBytes } from '../compare/room.ts'
import { entryPathOf, pathOf } from '../store/section.ts'
import type { Failure, Section } from '../store/section.ts'
import { StagingFolders } from './staging-folders.ts'
import { StoredAmount } from '../compare/stored-amount.ts'
import { countLeft, movedBefore } from '../compare/unfinished.ts'
import type { UnsignedFiles } from './unsigned-files.ts'

export interface SyncInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly hash: HashBytes
  readonly deletions: 'mirror' | 'archive'
  readonly rootDigest: Digest
  readonly partials: ReadonlyMap<string, number>
  /** Folder of staging that no other sync uses. */
  readonly staging: string
  readonly record: AreaRecord
  readonly history: AreaHistory
  /** Bytes that may be written. */
  readonly roomBytes: number
  readonly quotaBytes?: number
  /** Told of large files that arrive without a signature. */
  readonly unsigned: UnsignedFiles
  /** Aborted when the client has left. */
  readonly client?: AbortSignal | undefined
  /** Called once, when the sync is over. */
  readonly ended: () => void
}

interface Planned {
  readonly plan: Plan
  readonly ledger: Ledger
  readonly folders: StagingFolders
  readonly structure: PendingStructure
  /** Resolves with what is known of the files that seem to move, once they have a second name. */
  readonly prepared: Promise<ReadonlyMap<number, Fact>>
  readonly answers: Answers
  /** Whether what is not listed is gone. */
  readonly complete: boolean
}

type Unfinished = Pick<AreaRecord, 'halted' | 'released' | 'hasHalfMoved'>

/** Drives one sync through the ports. */
export class AreaSync implements Sync {
  onStored: ((stored: StoredSoFar) => void) | undefined
  readonly rootDigest: Digest
  readonly #init: SyncInit
  readonly #comparison: Comparison
  readonly #committer: Committer
  readonly #began: Position
  readonly #history: ChangeHistory
  /** Begun by the comparison. */
  readonly #problems: ProblemList
  readonly #present: PresentFiles
  readonly #amount: StoredAmount
  #planned: Planned | undefined
  /** Set where so much is replaced that its content matters. */
  #noise: NoiseBrake | undefined
  /** What the brake held for. */
  #halt: Halt | undefined
  /** Files that seemed to move and left the mirror instead. */
  #lost = 0
  #tree = ''
  #recorded: Promise<void> = Promise.resolve()
  #stored: StoredSoFar = { files: 0, bytes: 0, renamed: 0, deleted: 0 }
  #toldRenamed = 0
  #isOver = false

  constructor (init: SyncInit) {
    this.#init = init
    this.rootDigest = init.rootDigest
    this.#present = new PresentFiles(init)
    this.#amount = new StoredAmount(init)
    this.#comparison = new Comparison(init.index, init.area, init.store.traits)
    this.#problems = this.#comparison.problems
    this.#began = nextPosition(init.history.lastCount, { lastMs: init.record.lastStampMs, nowMs: init.clock.nowMs() })
    this.#history = new ChangeHistory({ ...init, began: this.#began })
    this.#committer = new Committer({ ...init, client: init.client, began: this.#began, history: this.#history, folders: () => this.#known().folders, structure: () => this.#known().structure, sift: async sections => await this.#noise?.sift(sections) ?? sections, placed: step => this.#placed(step) })
  }

  get stored (): StoredSoFar {
    return this.#stored
  }

  * compare (arrived: ArrivedListing): Generator<WantedListing | undefined, void, undefined> {
    this.#check()
    if (arrived.directory === ROOT_PATH) this.#tree = toHex(this.#init.hash(arrived.bytes))
    yield * this.#comparison.add(arrived)
    yield * this.#amount.count(this.#comparison)
  }

  plan (options: PlanOptions): SyncPlan {
    this.#check()
    if (this.#planned !== undefined) throw new FileSyncError('INTERNAL', 'A sync is planned only once.')
    const { index, area, deletions, hash } = this.#init
    const { directories, owners } = this.#comparison
    const partials = options.resume === false ? new Map<string, number>() : this.#init.partials
    const comparison = this.#comparison
    const plan = makePlan(comparison, {
      ...options, deletions, partials, hash,
      fit: draft => fitFiles({ ...this.#init, mirror: () => this.#amount.size }, comparison, draft),
      movedBefore: leaving => movedBefore(this.#init, comparison.displaced, leaving),
    })
    this.#noise = this.#brake(plan)
    const ledger = new Ledger({ index, area, hash, directories, owners }, plan)
    const prepared = this.#prepare(plan, ledger)
    this.#committer.waitFor(prepared)
    const folders = new StagingFolders(directories, movedPlaces(plan.moves))
    const answers = new Answers({
      ...this.#init, began: this.#began, tasks: plan.tasks, ledger, folders, committer: this.#committer, present: this.#present, moved: prepared,
      problems: this.#problems, check: () => { this.#check() },
    })
    this.#planned = { plan, ledger, folders, answers, structure: new PendingStructure(directories, owners), prepared, complete: options.complete }
    const describe: SyncPlan['describe'] = task => plan.tasks.describe(task)
    const tasks = this.#noise === undefined ? plan.tasks : untilHalted(plan.tasks, this.#noise)
    return { tasks, taskCount: plan.tasks.count, again: () => this.#again(), describe, bytes: neededBytes(this.#comparison, plan), renamed: plan.moves.length, vanishing: plan.leaving.length, unfit: plan.unfit }
  }

  present (task: number): PresentFile | undefined {
    return this.#present.find(this.#expectPlan().plan.tasks.describe(task).path)
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]> {
    return await this.#expectPlan().answers.stagePack(pack, reuse)
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    return await this.#expectPlan().answers.compareDigests(files)
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    return await this.#expectPlan().answers.beginFile(task, offset)
  }

  #again (): Iterable<Task> {
    // Not all of the others were asked for, so these would have other numbers.
    if (this.#noise?.halted !== undefined) return []
    const { plan, ledger, folders } = this.#known()
    const { tasks } = plan
    this.#judgeMoves(plan)
    const unfit = unfitAgain(this.#init.roomBytes - neededBytes(this.#comparison, plan), plan)
    for (const task of unfit.tasks) {
      const { path, sizeBytes } = tasks.describe(task)
      this.#problems.add(problem(path, 'NO_ROOM', diskLack(sizeBytes, unfit.leftBytes)))
      const { owner, directory: { directory } } = tasks.at(task)
      folders.settled(owner, 1, 0)
      ledger.settled(directory, 1)
    }
    tasks.leaveOutAgain(unfit.tasks)
    return tasks.again()
  }

  /** Files that seemed to move and have another content leave the mirror after all. Throws HALTED where they are too many. */
  #judgeMoves (plan: Plan): void {
    const failed = new Set(plan.tasks.againTasks().map(task => plan.tasks.moves.get(task)?.from))
    const lost = plan.moving.filter(({ path }) => failed.has(path))
    if (lost.length === 0) return
    this.#lost = lost.length
    this.#brake({ leaving: [...plan.leaving, ...lost], replacing: 0 })
  }

  async finish (): Promise<SyncOutcome> {
    this.#check()
    const planned = this.#planned
    if (planned === undefined) {
      await this.#forgetHalt()
      await this.#end()
      return { files: 0, bytes: 0, deleted: 0, renamed: 0, problems: [], problemCount: 0 }
    }
    try {
      await this.#quiet()
      await this.#committer.flush()
      if (this.#init.client?.aborted === true && planned.structure.isLeft) await this.#leave(planned, this.#init.client)
      if (this.#noise !== undefined) await this.#letPass(planned, this.#noise)
      const unproven = planned.answers.unprovenMoves()
      const deleted = await this.#remove(planned, unproven)
      // What the brake was released for is done only now, and only where deletions were part of it.
      const left = planned.complete ? brakeAfter(this.#init, { halt: undefined, isOver: true }) : this.#unfinished(planned.plan)
      await this.#settle(planned, unproven.length > 0 ? { ...left, hasHalfMoved: true } : left)
      await this.#init.store.keepPartials(this.#init.area, planned.answers.partials)
      // A disk may have been mounted over the archive while files arrived.
      await this.#init.store.ensurePresent('path')
      return { ...this.#stored, deleted, problems: this.#problems.first, problemCount: this.#problems.count }
    } finally {
      await this.#end()
    }
  }

  async abandon (): Promise<void> {
    if (this.#isOver) return
    this.#committer.endEarly()
    try {
      await this.#recorded
      await this.#quiet()
      // A sync that failed has told why; the journal lets the next one put in order what it left.
      if (this.#planned === undefined || this.#committer.hasFailed) return
      await this.#committer.flush()
      await this.#settle(this.#planned, this.#unfinished(this.#planned.plan))
      this.#tellLeft(this.#planned.plan)
    } finally {
      await this.#end()
    }
  }

  /** The client is back at what is stored, so there is nothing left to halt or to release. */
  async #forgetHalt (): Promise<void> {
    const { index, area, record } = this.#init
    if (record.halted === undefined && record.released === undefined) return
    await index.write([{ area, record: { open: false, lastStampMs: record.lastStampMs, history: this.#init.history } }])
  }

  // Moves are given their second name before anything may take the place of the first one.
  async #prepare (plan: Plan, ledger: Ledger): Promise<ReadonlyMap<number, Fact>> {
    const { index, store, area, staging, history, hash } = this.#init
    const { count, ms } = this.#began
    await Promise.all([
      index.write([{ area, record: { ...this.#unfinished(plan), open: true, staging, ...this.#reached() } }]),
      store.appendHistory(area, { count, bytes: encodePoint({ ms, ageMs: history.age.ageMs }, hash) }),
    ])
    const { moved, altered } = await stageMoves(this.#init, plan.moves)
    if (altered.length > 0) await index.write(alteredWrites({ ...this.#init, nowMs: this.#init.clock.nowMs() }, altered))
    if (plan.evictions.length > 0) {
      const { journal, failures } = await this.#committer.evict(plan.evictions)
      this.#blame(failures, ({ section, entry }) => pathOf(plan.evictions[section], entry))
      ledger.removed(journal, plan.evictions)
    }
    return moved
  }

  async #placed ({ journal, sections, placed, failures }: PlacedBatch): Promise<void> {
    const ledger = this.#known().ledger
    this.#blame(failures, ({ section, entry }) => entryPathOf(sections[section], entry))
    ledger.placed(journal, sections, [...placed, ...wantAltered(sections, failures)])
    const writes = [...this.#altered(sections, failures), ...ledger.takeReady()]
    if (writes.length > 0) await this.#init.index.write(writes)
    const counts = countPlaced(placed)
    const { files, bytes, renamed } = this.#stored
    this.#stored = { ...this.#stored, files: files + counts.files, bytes: bytes + counts.bytes, renamed: renamed + counts.renamed }
    if (counts.files > 0) this.#tellStored()
  }

  #altered (sections: readonly Section[], failures: readonly Failure[]): IndexWrite[] {
    const altered = failures.filter(({ isAltered }) => isAltered === true).map(({ section, entry }) => entryPathOf(sections[section], entry))
    return altered.length === 0 ? [] : alteredWrites({ ...this.#init, nowMs: this.#init.clock.nowMs() }, altered)
  }

  #tellStored (): void {
    this.#toldRenamed = this.#stored.renamed
    this.onStored?.(this.#stored)
  }

  /** Tells what no batch told: moves that are done before any file comes, and files whose place another kind of thing took. */
  #tellLeft (plan: Plan): void {
    this.#stored = { ...this.#stored, deleted: countLeft(this.#init, plan) }
    if (this.#stored.deleted > 0 || this.#stored.renamed > this.#toldRenamed) this.#tellStored()
  }

  /** @param unproven files that stay where they are until it is known what became of them */
  async #remove ({ plan, ledger }: Planned, unproven: readonly Move[]): Promise<number> {
    const deleted = plan.leaving.length + this.#lost
    const removals = withoutSources(plan.removals, unproven)
    const forgotten = withoutSources(plan.forgotten, unproven)
    ledger.removed(undefined, forgotten)
    await this.#history.released(forgotten)
    if (removals.length === 0) return deleted
    const { journal, failures } = await this.#committer.remove(removals)
    this.#blame(failures, ({ section, entry }) => pathOf(removals[section], entry))
    const failed = new Set(failures.map(({ section, entry }) => `${String(section)}:${String(entry)}`))
    ledger.removed(journal, removals.map(({ directory, names }, section) => (
      { directory, names: names.filter((_, entry) => !failed.has(`${String(section)}:${String(entry)}`)) }
    )))
    return deleted
  }

  /** Writes down what the sync came to, and forgets how. */
  async #settle ({ ledger }: Planned, left: Unfinished): Promise<void> {
    const { index, store, area, staging } = this.#init
    for (const states of ledger.states()) await store.settle(area, states)
    await store.makeDurable()
    let writes: IndexWrite[] = []
    for (const more of ledger.takeAll()) {
      // Ended between two of these, the record is still open: the next sync fits the digests together.
      if (writes.length > 0) await index.write(writes)
      writes = more
    }
    writes = [...writes, ...this.#committer.clearJournal()]
    // What was mended shows in the index alone.
    if (hasDamage(index, area)) await index.write(writes.splice(0))
    await index.write([...writes, ...mendedWrites(index, area, this.#began.ms), { area, record: { ...left, open: false, staging, ...this.#reached() } }])
    await index.write(this.#present.writes(this.#comparison.displaced))
    await store.discard(staging)
  }

  #reached (): Pick<AreaRecord, 'lastStampMs' | 'history'> {
    return { lastStampMs: this.#history.lastMs, history: { ...this.#init.history, lastCount: this.#began.count } }
  }

  /** What is remembered of a sync until it has come to its end. */
  #unfinished ({ moves }: Plan): Unfinished {
    const hasHalfMoved = moves.length > 0 || this.#init.record.hasHalfMoved === true
    return { ...brakeAfter(this.#init, { halt: this.#halt ?? this.#noise?.halted, isOver: false }), ...(hasHalfMoved && { hasHalfMoved }) }
  }

  /** Throws HALTED for what is known already; what depends on content that is still to come is looked at by what it returns. */
  #brake (plan: Pick<Plan, 'leaving' | 'replacing'>): NoiseBrake | undefined {
    const { index, area, record, clock } = this.#init
    const judged = judgePlan({ ...this.#init, mirror: () => this.#amount.size, tree: this.#tree, nowMs: () => clock.nowMs() }, plan)
    if (judged === undefined || judged instanceof NoiseBrake) return judged
    this.#halt = judged
    this.#recorded = index.write([{ area, record: { ...record, halted: judged } }])
    this.#recorded.catch((error: unknown) => { this.#committer.fail(error) })
    throw halted(area, judged)
  }

  /** Puts what was held back in its place, or throws HALTED where it is too much. */
  async #letPass (planned: Planned, brake: NoiseBrake): Promise<void> {
    if (brake.halted !== undefined) {
      await this.#settle(planned, this.#unfinished(planned.plan))
      throw halted(this.#init.area, brake.halted)
    }
    for (const held of brake.takeHeld()) await this.#committer.commit(held)
  }

  /** The client has left before all was in its place, so nothing of the rest is done, and nothing is deleted. */
  async #leave (planned: Planned, client: AbortSignal): Promise<never> {
    await this.#settle(planned, this.#unfinished(planned.plan))
    throw asFileSyncError(client.reason, 'PEER_GONE')
  }

  /** Waits until nothing is being staged. Streams that were not finished keep what they have. */
  async #quiet (): Promise<void> {
    await this.#planned?.answers.quiet()
    await Promise.allSettled([this.#planned?.prepared])
  }

  async #end (): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    await this.#committer.idle()
    this.#init.ended()
  }

  #blame (failures: readonly Failure[], path: (failure: Failure) => string): void {
    for (const failure of failures) this.#problems.add(problem(path(failure), 'STORE_FAILED', failure.message))
  }

  #expectPlan (): Planned {
    this.#check()
    return this.#known()
  }

  #known (): Planned {
    if (this.#planned === undefined) throw new FileSyncError('INTERNAL', 'A sync has to be planned before anything is stored.')
    return this.#planned
  }

  #check (): void {
    this.#init.signal.throwIfAborted()
    if (this.#isOver) throw new FileSyncError('INTERNAL', 'The sync is over.')
    this.#committer.throwIfFailed()
  }
}
