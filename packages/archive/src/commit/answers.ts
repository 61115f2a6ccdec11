import { FileSyncError, problem } from '@filesync/protocol'
import type { Clock, Digest, FileDigest, HashBytes, Problem, ProblemList, ReuseBuffer, StagedFile, StageOutcome } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { Committer } from './committer.ts'
import { comparedFile } from './compared-file.ts'
import type { ContentStore, PackFailure, PackRequest } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import type { Position } from '../store/position.ts'
import type { Ledger } from './ledger.ts'
import { alteredWrites } from '../store/damage.ts'
import { parsePack, stagedSections } from './pack-request.ts'
import type { Move } from '../compare/moves.ts'
import { partialName } from '../compare/plan.ts'
import type { PresentFiles } from './present-files.ts'
import { proveDigests } from './prove-digests.ts'
import { entryPath } from '../store/section.ts'
import { fileSection, streamedFile } from './staged-stream.ts'
import type { StagingFolders } from './staging-folders.ts'
import type { TaskList } from '../compare/task-list.ts'
import type { UnsignedFiles } from './unsigned-files.ts'

export interface AnswersInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly staging: string
  readonly store: ContentStore
  readonly clock: Clock
  readonly began: Position
  readonly hash: HashBytes
  /** Told of large files that arrive without a signature. */
  readonly unsigned: UnsignedFiles
  readonly tasks: TaskList
  readonly ledger: Ledger
  readonly folders: StagingFolders
  readonly committer: Committer
  readonly present: PresentFiles
  /** What is known of the files that seem to move, by their numbers in staging. */
  readonly moved: Promise<ReadonlyMap<number, Fact>>
  readonly problems: ProblemList
  /** Throws where the sync is over or has failed. */
  readonly check: () => void
}

/** Takes the answers to the tasks of a sync: each once, into staging, and from there to the committer. */
export class Answers {
  readonly #init: AnswersInit
  /** 1 for a task that was answered. */
  readonly #answered: Uint8Array
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #streams = new Set<StagedFile>()
  readonly #partials = new Set<string>()
  /** What files took that fit only because they have holes. */
  #sparseBytes = 0

  constructor (init: AnswersInit) {
    this.#init = init
    this.#answered = new Uint8Array(init.tasks.mostTasks)
  }

  /** Names of the large files that were begun; some may be unfinished. */
  get partials (): ReadonlySet<string> {
    return this.#partials
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]> {
    const { tasks, folders, staging, clock, began, store, committer } = this.#init
    await committer.room()
    const { request, files } = parsePack(pack, { tasks, folders, staging, now: { count: began.count, ms: clock.nowMs() } })
    for (const { task } of files) this.#claim(task)
    const failures = await this.#track(store.stagePack(request, reuse))
    return this.#staged(request, failures, files)
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    await this.#init.committer.room()
    for (const { task } of files) {
      if (!this.#init.tasks.digests.has(task)) throw new FileSyncError('DATA_UNEXPECTED', 'A digest arrived that was not asked for.')
      this.#claim(task)
    }
    return await this.#compare(files)
  }

  /** Files that seemed to move and of which nothing is known: the client could not read them. */
  unprovenMoves (): Move[] {
    return [...this.#init.tasks.moves].filter(([task]) => this.#answered[task] !== 1).map(([, move]) => move)
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    const { tasks, area, staging, hash, store, committer, check, present, unsigned } = this.#init
    await committer.room()
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
      task, path, sizeBytes, stream, check,
      failed: error => { committer.fail(error) },
      wrote: bytes => { wroteBytes += bytes },
      ended: (outcome, digest, signature) => {
        this.#streams.delete(file)
        if (roomBytes !== undefined && digest !== undefined) this.#sparseBytes += wroteBytes
        // That there was no room says nothing against a difference.
        if (outcome.problem?.code === 'DIGEST_MISMATCH') present.failed(path)
        if (digest !== undefined && signature !== undefined) present.described(path, digest, signature)
        else if (digest !== undefined) unsigned.note(path, sizeBytes)
        this.#streamed(outcome, digest)
      },
    })
    this.#streams.add(file)
    return file
  }

  /** Resolves when nothing is being staged. Streams that were not finished keep what they have. */
  async quiet (): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await Promise.allSettled([...this.#streams].map(stream => stream.abandon()))
    this.#streams.clear()
  }

  #claim (task: number): void {
    const answered = this.#answered
    if (task >= answered.length) throw new FileSyncError('DATA_UNEXPECTED', 'A file arrived for a task that was never given.')
    if (answered[task] === 1) throw new FileSyncError('DATA_UNEXPECTED', 'A file arrived twice.')
    answered[task] = 1
  }

  #comparedFile (task: number): StagedFile {
    return comparedFile(this.#init.check, async digest => {
      const [outcome] = await this.#compare([{ task, digest }])
      return outcome ?? { task, bytes: 0, isWantedAgain: true }
    })
  }

  async #compare (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    const { index, area, clock, tasks, committer } = this.#init
    const { proven, altered, sections } = await this.#track(proveDigests(this.#init, files))
    if (altered.length > 0) await this.#track(index.write(alteredWrites({ index, area, nowMs: clock.nowMs() }, altered)))
    committer.add(sections)
    return files.map(({ task }) => {
      if (proven.has(task)) return { task, bytes: tasks.describe(task).sizeBytes }
      tasks.wantAgain(task)
      return { task, bytes: 0, isWantedAgain: true }
    })
  }

  #staged (request: PackRequest, failures: readonly PackFailure[], files: readonly { task: number, bytes: number }[]): StageOutcome[] {
    const { ledger, folders, problems, committer } = this.#init
    const troubles = new Map<number, Problem>()
    for (const { section, entry, code, message } of failures) {
      const failed = request.sections[section]?.section
      const task = failed?.staged[entry]
      if (failed === undefined || task === undefined) continue
      troubles.set(task, problem(entryPath(failed, entry), code, message))
      ledger.settled(failed.directory, 1)
      if (failed.folder !== undefined) folders.spoil(failed.folder)
    }
    for (const trouble of troubles.values()) problems.add(trouble)
    for (const { section: { folder, staged } } of request.sections) if (folder !== undefined) folders.settled(folder, staged.length, staged.length)
    committer.add(stagedSections(request, failures))
    return files.map(({ task, bytes }) => {
      const trouble = troubles.get(task)
      return trouble === undefined ? { task, bytes } : { task, bytes: 0, problem: trouble }
    })
  }

  #streamed (outcome: StageOutcome, digest: Digest | undefined): void {
    const { tasks, ledger, folders, problems, committer, clock, began } = this.#init
    const { owner, directory: { directory } } = tasks.at(outcome.task)
    folders.settled(owner, 1, 0)
    if (outcome.problem !== undefined) problems.add(outcome.problem)
    if (digest === undefined) {
      ledger.settled(directory, 1)
    } else {
      const section = fileSection(tasks, outcome.task, { digest, storedAtMs: clock.nowMs(), storedCount: began.count })
      committer.add([{ section, bytes: outcome.bytes }])
    }
  }

  async #track<T> (work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } catch (error) {
      this.#init.committer.fail(error)
      throw error
    } finally {
      this.#underWay.delete(work)
    }
  }
}
