import { FileSyncError, FLAG_ZSTD, LIMITS, problem, ProblemList, readDigestRecords, readPack } from '@filesync/protocol'
import type {
  Connection, FileEnd, FileHeader, FileHole, FileProblem, Incoming, Problem, RawFrameType, ReuseBuffer, StageOutcome, StagingArea,
} from '@filesync/protocol'
import { ArrivingFile } from './arriving-file.ts'
import { expandPayload } from './compressed-frame.ts'
import type { Decompress } from './compressed-frame.ts'
import { readData } from './data-frame.ts'
import { readDelta } from './delta-frame.ts'
import { FollowedSignature } from './followed-signature.ts'
import type { FollowedSignatureInit } from './followed-signature.ts'
import type { CutFinder } from './gear.ts'
import type { OutstandingTasks } from './outstanding-tasks.ts'

/** Packs and ends of files that are being staged while more arrives. */
const STAGING_MAX = 8

/** How far the receiving side is. */
export interface ReceiveProgress {
  /** Files that are staged, and their bytes; bytes of files under way are counted as they arrive. */
  readonly files: number
  readonly bytes: number
  /** What has arrived over the link of files, decompressed. */
  readonly carriedBytes: number
  /** Files that the client was asked for so far. */
  readonly filesWanted: number
}

/** What answers are taken with. */
export interface ArrivalsInit {
  readonly connection: Connection
  readonly staging: StagingArea
  /** Makes signatures of what arrives as a difference, to be kept for the next one; without it none are made. */
  readonly follow?: Omit<FollowedSignatureInit, 'signature'>
  /** Given where HELLO agreed on zstd; without it a compressed frame ends the session. */
  readonly decompress?: Decompress
  /** Whether HELLO agreed on holes; without that one ends the session. */
  readonly holes?: boolean
  readonly onProgress?: (progress: ReceiveProgress) => void
}

/** What a session came to. */
export interface ReceivedFiles {
  /** Files that are staged, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** The first problems, and how many there were. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** How many of them the staging area told: whoever ends what it is for hears of these there, too. */
  readonly refused: number
}

/** Takes the client's answers, checks that each is one that was asked for, and hands them to the staging area. */
export class Arrivals {
  readonly #init: ArrivalsInit
  readonly #outstanding: OutstandingTasks
  readonly #staging = new Set<Promise<void>>()
  /** By their average bits. Made once: each has memory of its own, which the engine is slow to give back. */
  readonly #finders = new Map<number, CutFinder>()
  readonly #problems = new ProblemList(LIMITS.problemsPerMessage)
  #refused = 0
  #files = 0
  #bytes = 0
  #carriedBytes = 0
  #open: ArrivingFile | undefined
  #failure: { readonly error: unknown } | undefined
  readonly #reuse: ReuseBuffer = buffer => { this.#init.connection.reuse(buffer) }
  /** Told the first failure of what is staged in the background. */
  onFailure: (error: unknown) => void = () => { /* set by the session */ }

  constructor (init: ArrivalsInit, outstanding: OutstandingTasks) {
    this.#init = init
    this.#outstanding = outstanding
  }

  async accept (incoming: Incoming): Promise<void> {
    this.#throwIfFailed()
    if (incoming.kind === 'raw') {
      const isCompressed = (incoming.flags & FLAG_ZSTD) !== 0
      if (isCompressed && incoming.type === 'DIGESTS') throw new FileSyncError('MESSAGE_UNEXPECTED', 'The client sent compressed digests.')
      const payload = isCompressed ? await expandPayload(incoming.payload, this.#init.decompress) : incoming.payload
      this.#throwIfFailed()
      await this.#acceptRaw(incoming.type, payload)
      return
    }
    const message = incoming.message
    if (message.type === 'FILE_HEADER') await this.#begin(message)
    else if (message.type === 'FILE_HOLE' && this.#init.holes === true) await this.#hole(message)
    else if (message.type === 'FILE_END') await this.#end(message)
    else if (message.type === 'FILE_PROBLEM') await this.#acceptProblem(message)
    else throw new FileSyncError('MESSAGE_UNEXPECTED', `The client sent ${message.type} where it was to send files.`)
  }

  /** Waits until it is known what became of all that has arrived. */
  async staged (): Promise<void> {
    await Promise.all(this.#staging)
    this.#throwIfFailed()
  }

  /** Waits for what is being staged. */
  async finish (): Promise<ReceivedFiles> {
    await this.staged()
    this.#report()
    return { files: this.#files, bytes: this.#bytes, problems: this.#problems.first, problemCount: this.#problems.count, refused: this.#refused }
  }

  /** The session failed: leaves the open file for a resume, and waits until nothing is written any more. */
  async abandon (): Promise<void> {
    this.#failure ??= { error: new FileSyncError('ABORTED', 'The transfer is over.') }
    const open = this.#open
    this.#open = undefined
    await Promise.allSettled([...this.#staging, open?.abandon()])
  }

  async #acceptRaw (type: RawFrameType, payload: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#carriedBytes += payload.length
    if (type === 'PACK') await this.#acceptPack(payload)
    else if (type === 'DATA') {
      const { task, content } = readData(payload)
      await this.#opened(task).write(content, this.#reuse)
    } else if (type === 'DELTA') {
      const { task, operations } = readDelta(payload)
      await this.#opened(task).apply(operations)
    } else if (type === 'DIGESTS') await this.#acceptDigests(payload)
    else throw new FileSyncError('MESSAGE_UNEXPECTED', `The client sent a ${type} frame where it was to send files.`)
    this.#report()
  }

  async #hole ({ task, bytes }: FileHole): Promise<void> {
    await this.#opened(task).hole(bytes)
    this.#report()
  }

  async #acceptPack (pack: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#open !== undefined) throw unexpected('a pack in the middle of another file')
    const due = new Set<number>()
    for (const file of readPack(pack)) {
      const { task, expected } = this.#outstanding.answer(file.task)
      if (task.length !== 2) throw unexpected('a whole file where a part of it was asked for')
      if (file.content.length !== expected.sizeBytes) throw unexpected('more or less of a file than it listed')
      due.add(file.task)
    }
    await this.#stage(async () => { this.#settleAll(await this.#init.staging.stagePack(pack, this.#reuse), due) })
  }

  async #acceptDigests (payload: Uint8Array): Promise<void> {
    if (this.#open !== undefined) throw unexpected('digests in the middle of another file')
    const files = [...readDigestRecords(payload)]
    const due = new Set(files.map(({ task }) => task))
    if (due.size < files.length) throw unexpected('the digest of a file twice')
    const isAskedFor = (number: number): boolean => this.#outstanding.peek(number).task[2] === 'DIGEST'
    if (![...due].every(isAskedFor)) throw unexpected('a digest that it was not asked for')
    await this.#stage(async () => { this.#settleAll(await this.#init.staging.compareDigests(files), due) })
    // After that: when all is answered, it has to be known what is still being compared.
    for (const { task } of files) this.#outstanding.answer(task)
  }

  async #begin (header: FileHeader): Promise<void> {
    if (this.#open !== undefined) throw unexpected('a file in the middle of another one')
    const { task, expected } = this.#outstanding.peek(header.task)
    const file = new ArrivingFile({ header, task, expected, signature: header.content === 'DELTA' ? this.#follow(header.task) : undefined })
    await this.#room()
    this.#throwIfFailed()
    file.start(this.#init.staging)
    this.#open = file
  }

  #follow (task: number): FollowedSignature | undefined {
    const signature = this.#outstanding.signatureOf(task)
    const { follow } = this.#init
    if (signature === undefined || follow === undefined) return undefined
    return new FollowedSignature({ hash: follow.hash, signature, createCutFinder: averageBits => {
      const finder = this.#finders.get(averageBits) ?? follow.createCutFinder(averageBits)
      this.#finders.set(averageBits, finder)
      return finder
    } })
  }

  async #end (end: FileEnd): Promise<void> {
    const file = this.#opened(end.task)
    file.checkComplete()
    this.#open = undefined
    await this.#stage(async () => { this.#settle(await file.finish(end.digest)) })
    // Behind that: when all is answered, it has to be known what is still being staged.
    this.#outstanding.answer(end.task)
  }

  async #acceptProblem (report: FileProblem): Promise<void> {
    const { expected } = this.#outstanding.answer(report.task)
    if (this.#open !== undefined) {
      const open = this.#opened(report.task)
      this.#open = undefined
      await this.#stage(async () => { await open.abandon() })
    }
    this.#problems.add(problem(expected.path, report.code, detailOf(report)))
    this.#report()
  }

  #opened (task: number): ArrivingFile {
    if (this.#open?.task !== task) throw unexpected('data of a file that it did not begin')
    return this.#open
  }

  // In the background, so that the next frame is taken meanwhile; waits only for room.
  async #stage (work: () => Promise<void>): Promise<void> {
    await this.#room()
    this.#throwIfFailed()
    const staged = work().catch((error: unknown) => {
      this.#failure ??= { error }
      this.onFailure(error)
    }).finally(() => { this.#staging.delete(staged) })
    this.#staging.add(staged)
  }

  async #room (): Promise<void> {
    while (this.#staging.size >= STAGING_MAX) await Promise.race(this.#staging)
  }

  /** @param due the tasks that an outcome is due of */
  #settleAll (outcomes: readonly StageOutcome[], due: Set<number>): void {
    for (const outcome of outcomes) {
      if (!due.delete(outcome.task)) throw new FileSyncError('INTERNAL', 'The staging area tells of a file that it was not given.')
      this.#settle(outcome)
    }
    if (due.size > 0) throw new FileSyncError('INTERNAL', 'The staging area does not tell what became of a file.')
  }

  #settle (outcome: StageOutcome): void {
    if (outcome.problem !== undefined) {
      this.#refused++
      this.#problems.add(outcome.problem)
    } else if (outcome.isWantedAgain !== true) {
      this.#files++
      this.#bytes += outcome.bytes
    }
    this.#report()
  }

  #report (): void {
    this.#init.onProgress?.({
      files: this.#files, bytes: this.#bytes + (this.#open?.arrivedBytes ?? 0), carriedBytes: this.#carriedBytes,
      filesWanted: this.#outstanding.asked,
    })
  }

  #throwIfFailed (): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

// The catalogue's words are ours; what stands behind them is the client's to say.
function detailOf (report: FileProblem): string | undefined {
  // Of a newer client: nothing of ours says it.
  if (report.code === 'OTHER') return report.message === '' ? undefined : report.message
  const words = problem('', report.code).message
  return report.message.startsWith(`${words}: `) ? report.message.slice(words.length + 2) : undefined
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('DATA_UNEXPECTED', `The client sent ${what}.`)
}
