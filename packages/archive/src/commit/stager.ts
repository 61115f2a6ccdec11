import { FileSyncError, problem } from '@filesync/protocol'
import type { Clock, Digest, FileDigest, HashBytes, Problem, ProblemList, ReuseBuffer, StagedFile, StageOutcome } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { Committer } from './committer.ts'
import { comparedFile } from './compared-file.ts'
import type { ContentStore, PackFailure, PackRequest } from '../store/content-store.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import type { Position } from '../store/position.ts'
import { alteredWrites } from '../store/damage.ts'
import { parsePack, stagedSections } from './pack-request.ts'
import type { Move } from '../compare/moves.ts'
import { partialName } from '../compare/task-list.ts'
import type { PresentFiles } from './present-files.ts'
import { LinkedFiles } from './linked-files.ts'
import type { LinkedFile } from './linked-files.ts'
import { MoveProofs } from './move-proofs.ts'
import { linkedSections, proveDigests } from './prove-digests.ts'
import { entryPath } from '../store/section.ts'
import type { StagedSection } from '../store/section.ts'
import { NO_LINKS } from '../compare/task-links.ts'
import { fileSection, streamedFile } from './staged-stream.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import type { StagingFolders } from './staging-folders.ts'
import type { SyncStatus } from './sync-status.ts'
import type { TaskList } from '../compare/task-list.ts'
import type { UnsignedFiles } from './unsigned-files.ts'

export interface StagerInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly staging: string
  readonly store: ContentStore
  readonly clock: Clock
  readonly began: Position
  readonly hash: HashBytes
  /** Collects large files that arrive without a signature. */
  readonly unsigned: UnsignedFiles
  readonly tasks: TaskList
  readonly ledger: DirectoryLedger
  readonly folders: StagingFolders
  readonly committer: Committer
  readonly present: PresentFiles
  /** Facts of the files that seem to move, by their numbers in staging. */
  readonly moved: Promise<ReadonlyMap<number, Fact>>
  readonly problems: ProblemList
  readonly status: SyncStatus
}

/**
 * Receives what the client sends for the tasks of a sync, one answer to each, and writes it to staging. What is staged whole goes to the
 * committer. It does not count as stored yet: see {@link BatchRecorder}.
 */
export class Stager {
  readonly #init: StagerInit
  /** By task: 1 if it was answered. */
  readonly #answered: Uint8Array
  /** Tasks whose answers have begun, and will end with the digest. */
  readonly #comparing = new Set<number>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #streams = new Set<StagedFile>()
  readonly #partials = new Set<string>()
  readonly #moves: MoveProofs
  readonly #linked: LinkedFiles
  /** Written for files that fit only because they have holes. */
  #sparseBytes = 0

  constructor (init: StagerInit) {
    this.#init = init
    this.#answered = new Uint8Array(init.tasks.maxTasks)
    this.#moves = new MoveProofs(init.tasks, init.moved)
    this.#linked = new LinkedFiles({ ...init, isAnswered: task => this.#answered[task] === 1 && !this.#comparing.has(task) })
  }

  /** Names of large files that were begun; some may be unfinished. */
  get partials (): ReadonlySet<string> {
    return this.#partials
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]> {
    const { tasks, folders, staging, clock, began, store, committer } = this.#init
    await committer.waitForCapacity()
    const { request, files } = parsePack(pack, {
      tasks, folders, staging, now: { count: began.count, ms: clock.nowMs() }, claim: task => { this.#claim(task) },
    })
    const failures = await this.#track(store.stagePack(request, reuse))
    return await this.#finishPack(request, failures, files)
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    await this.#init.committer.waitForCapacity()
    for (const { task } of files) {
      if (!this.#init.tasks.digests.has(task)) throw new FileSyncError('DATA_UNEXPECTED', 'Received a digest that was not requested.')
      this.#claim(task)
    }
    return await this.#compare(files)
  }

  /** Files that seemed to move, but whose digests the client did not send: it could not read them. */
  unprovenMoves (): Move[] {
    return [...this.#init.tasks.moves]
      .filter(([task, move]) => move.how !== 'linked' && this.#answered[task] !== 1 && !this.isProven(move))
      .map(([, move]) => move)
  }

  /** Whether the content of a file that seemed to move was used. */
  isProven ({ number }: Move): boolean {
    return this.#moves.proven.has(number)
  }

  /** Adds tasks for the content of files that was to arrive under other names of them, and did not. To be called after all other tasks. */
  retryLinked (): void {
    for (const task of this.#linked.toRetry()) this.#init.tasks.addRetry(task)
  }

  /** Reports the files whose content did not arrive under any of their names. */
  reportMissingLinks (): void {
    this.#linked.reportMissing()
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    const { tasks, area, staging, hash, store, committer, status, present, unsigned } = this.#init
    await committer.waitForCapacity()
    this.#claim(task)
    if (tasks.digests.has(task)) return this.#comparedFile(task)
    const expected = tasks.describe(task)
    const partial = partialName(expected, hash)
    const { path, sizeBytes, mtimeNs, mode } = expected
    const roomBytes = tasks.sparse.has(task) ? Math.max(0, tasks.sparseRoomBytes - this.#sparseBytes) : undefined
    const request = { area, staging, number: task, partial, offset, present: path, sizeBytes, mtimeNs, mode }
    const stream = await this.#track(store.openStream({ ...request, ...(roomBytes !== undefined && { roomBytes }) }))
    let wroteBytes = 0
    this.#partials.add(partial)
    const file = streamedFile({
      task, path, sizeBytes, stream, status,
      wrote: bytes => { wroteBytes += bytes },
      ended: async (outcome, digest, signature) => {
        this.#streams.delete(file)
        if (roomBytes !== undefined && digest !== undefined) this.#sparseBytes += wroteBytes
        // A full disk does not mean that the difference was wrong.
        if (outcome.problem?.code === 'DIGEST_MISMATCH') present.addFailed(path)
        if (digest !== undefined && signature !== undefined) present.addSignature(path, digest, signature)
        else if (digest !== undefined) unsigned.add(path, sizeBytes)
        await this.#finishStream(outcome, digest)
      },
    })
    this.#streams.add(file)
    return file
  }

  /** Waits for what is being staged, and abandons unfinished streams, which keep what they have. */
  async stop (): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await Promise.allSettled([...this.#streams].map(stream => stream.abandon()))
    this.#streams.clear()
  }

  #claim (task: number): void {
    const answered = this.#answered
    if (task >= answered.length) throw new FileSyncError('DATA_UNEXPECTED', 'Received a file for a task that does not exist.')
    if (answered[task] === 1) throw new FileSyncError('DATA_UNEXPECTED', 'Received a file twice.')
    answered[task] = 1
  }

  #comparedFile (task: number): StagedFile {
    this.#comparing.add(task)
    const { status } = this.#init
    return comparedFile({
      status,
      compare: async digest => {
        this.#comparing.delete(task)
        const [outcome] = await this.#compare([{ task, digest }])
        return outcome ?? { task, bytes: 0, isWantedAgain: true }
      },
      abandoned: () => { this.#comparing.delete(task) },
    })
  }

  async #compare (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    const { index, area, clock, tasks, committer } = this.#init
    const proof = { ...this.#init, moves: this.#moves, linked: this.#linked }
    const { proven, altered, sections } = await this.#track(proveDigests(proof, files))
    if (altered.length > 0) await this.#track(index.write(alteredWrites({ index, area, nowMs: clock.nowMs() }, altered)))
    committer.add(sections)
    return files.map(({ task }) => {
      if (proven.has(task)) return { task, bytes: tasks.describe(task).sizeBytes }
      tasks.addRetry(task)
      return { task, bytes: 0, isWantedAgain: true }
    })
  }

  async #finishPack (
    request: PackRequest, failures: readonly PackFailure[], files: readonly { task: number, bytes: number }[],
  ): Promise<StageOutcome[]> {
    const { ledger, folders, problems } = this.#init
    const troubles = new Map<number, Problem>()
    for (const { section, entry, code, message } of failures) {
      const failed = request.sections[section]?.section
      const task = failed?.staged[entry]
      if (failed === undefined || task === undefined) continue
      troubles.set(task, problem(entryPath(failed, entry), code, message))
      ledger.endTasks(failed.directory, 1)
      if (failed.folder !== undefined) folders.markIncomplete(failed.folder)
    }
    for (const trouble of troubles.values()) problems.add(trouble)
    for (const { section: { folder, staged } } of request.sections) {
      if (folder !== undefined) folders.endFiles(folder, staged.length, staged.length)
    }
    await this.#add(stagedSections(request, failures))
    return files.map(({ task, bytes }) => {
      const trouble = troubles.get(task)
      return trouble === undefined ? { task, bytes } : { task, bytes: 0, problem: trouble }
    })
  }

  async #finishStream (outcome: StageOutcome, digest: Digest | undefined): Promise<void> {
    const { tasks, ledger, folders, problems, clock, began } = this.#init
    const { directory: { owner, directory } } = tasks.at(outcome.task)
    folders.endFiles(owner, 1, 0)
    if (outcome.problem !== undefined) problems.add(outcome.problem)
    if (digest === undefined) {
      ledger.endTasks(directory, 1)
    } else {
      const section = fileSection(tasks, outcome.task, { digest, storedAtMs: clock.nowMs(), storedCount: began.count })
      await this.#add([{ section, bytes: outcome.bytes }])
    }
  }

  /** Passes staged content on, after giving it its further names. */
  async #add (staged: readonly StagedSection[]): Promise<void> {
    const { tasks, committer } = this.#init
    if (tasks.links !== NO_LINKS) committer.add(await this.#track(this.#linkStaged(staged)))
    committer.add(staged)
  }

  /** Sections of the names that waited for content which is staged now. */
  async #linkStaged (staged: readonly StagedSection[]): Promise<StagedSection[]> {
    const waited: LinkedFile[] = []
    for (const { section } of staged) {
      for (const [at, number] of section.staged.entries()) {
        const isGroup = this.#init.tasks.links.groupOf(this.#init.tasks.originalOf(number)) !== undefined
        if (isGroup) waited.push(...await this.#linked.arrived(number, readFact(section.facts, at * FACT_BYTES).digest))
      }
    }
    return linkedSections(this.#init, waited)
  }

  async #track<T> (work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } catch (error) {
      this.#init.status.fail(error)
      throw error
    } finally {
      this.#underWay.delete(work)
    }
  }
}
