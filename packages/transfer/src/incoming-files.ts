import { FileSyncError, FLAG_ZSTD, LIMITS, problem, ProblemList, readDigestRecords, readPack } from '@filesync/protocol'
import type {
  Connection, FileEnd, FileHeader, FileHole, FileProblem, Incoming, Problem, RawFrameType, ReuseBuffer, StageOutcome, StagingArea,
} from '@filesync/protocol'
import { IncomingFile } from './incoming-file.ts'
import { expandPayload } from './compressed-frame.ts'
import type { Decompress } from './compressed-frame.ts'
import { readData } from './data-frame.ts'
import { readDelta } from './delta-frame.ts'
import { DerivedSignature } from './derived-signature.ts'
import type { DerivedSignatureInit } from './derived-signature.ts'
import type { CutFinder } from './gear.ts'
import type { OutstandingTasks } from './outstanding-tasks.ts'

/** Packs and finished files that may be staged while more arrives. */
const STAGING_MAX = 8

/** Progress of the receiving side. */
export interface ReceiveProgress {
  /** Staged files and their bytes; bytes of a file that is arriving are counted as they arrive. */
  readonly files: number
  readonly bytes: number
  /** File content that arrived over the link, decompressed. */
  readonly carriedBytes: number
  /** Number of files that the client was asked for so far. */
  readonly filesWanted: number
}

/** What is needed to receive answers. */
export interface IncomingFilesInit {
  readonly connection: Connection
  readonly staging: StagingArea
  /** Derives the signatures of files that arrive as deltas, to be kept for the next delta. If absent, none are made. */
  readonly deriveSignatures?: Omit<DerivedSignatureInit, 'signature'>
  /** Present if HELLO agreed on zstd. If absent, a compressed frame ends the session. */
  readonly decompress?: Decompress
  /** Whether HELLO agreed on holes. If not, a hole ends the session. */
  readonly holes?: boolean
  readonly onProgress?: (progress: ReceiveProgress) => void
  /** Called with each task that the other end answers with a problem instead of the file. */
  readonly onFileProblem?: (task: number, problem: Problem) => void
}

/** Totals of a session. */
export interface ReceivedFiles {
  /** Staged files and their bytes. */
  readonly files: number
  readonly bytes: number
  /** The first problems, and their total number. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Number of problems that the staging area reported, which its sync also reports. */
  readonly refused: number
}

/** Receives the client's answers, checks each against its task, and hands them to the staging area. */
export class IncomingFiles {
  readonly #init: IncomingFilesInit
  readonly #outstanding: OutstandingTasks
  readonly #staging = new Set<Promise<void>>()
  /** By average bits. Reused, because each has its own WebAssembly memory, which the engine is slow to free. */
  readonly #finders = new Map<number, CutFinder>()
  readonly #problems = new ProblemList(LIMITS.problemsPerMessage)
  #refused = 0
  #files = 0
  #bytes = 0
  #carriedBytes = 0
  #open: IncomingFile | undefined
  #failure: { readonly error: unknown } | undefined
  readonly #reuse: ReuseBuffer = buffer => { this.#init.connection.reuse(buffer) }
  /** Called with the first failure of staging in the background. */
  onFailure: (error: unknown) => void = () => { /* set by the session */ }

  constructor (init: IncomingFilesInit, outstanding: OutstandingTasks) {
    this.#init = init
    this.#outstanding = outstanding
  }

  async accept (incoming: Incoming): Promise<void> {
    this.#throwIfFailed()
    if (incoming.kind === 'raw') {
      const isCompressed = (incoming.flags & FLAG_ZSTD) !== 0
      if (isCompressed && incoming.type === 'DIGESTS') {
        throw new FileSyncError('MESSAGE_UNEXPECTED', 'The other end sent compressed digests.')
      }
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
    else throw new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${message.type} instead of files.`)
  }

  /** Waits until everything that has arrived is staged or refused. */
  async staged (): Promise<void> {
    await Promise.all(this.#staging)
    this.#throwIfFailed()
  }

  /** Waits for pending staging and returns the totals. */
  async finish (): Promise<ReceivedFiles> {
    await this.staged()
    this.#report()
    const { first, count } = this.#problems
    return { files: this.#files, bytes: this.#bytes, problems: first, problemCount: count, refused: this.#refused }
  }

  /** After a failure: keeps the open file for a resume, and waits until nothing is being written. */
  async abandon (): Promise<void> {
    this.#failure ??= { error: new FileSyncError('ABORTED', 'The transfer has ended.') }
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
    else throw new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent a ${type} frame instead of files.`)
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
      if (task.length !== 2) throw unexpected('a whole file although a part of it was asked for')
      if (file.content.length !== expected.sizeBytes) throw unexpected('a file of another size than it listed')
      due.add(file.task)
    }
    await this.#stage(async () => { this.#recordAll(await this.#init.staging.stagePack(pack, this.#reuse), due) })
  }

  async #acceptDigests (payload: Uint8Array): Promise<void> {
    if (this.#open !== undefined) throw unexpected('digests in the middle of another file')
    const files = [...readDigestRecords(payload)]
    const due = new Set(files.map(({ task }) => task))
    if (due.size < files.length) throw unexpected('the digest of a file twice')
    const isAskedFor = (number: number): boolean => this.#outstanding.peek(number).task[2] === 'DIGEST'
    if (![...due].every(isAskedFor)) throw unexpected('a digest that it was not asked for')
    await this.#stage(async () => { this.#recordAll(await this.#init.staging.compareDigests(files), due) })
    // Only now: once all tasks are answered, `staged` must wait for this comparison.
    for (const { task } of files) this.#outstanding.answer(task)
  }

  async #begin (header: FileHeader): Promise<void> {
    if (this.#open !== undefined) throw unexpected('a file in the middle of another one')
    const { task, expected } = this.#outstanding.peek(header.task)
    const signature = header.content === 'DELTA' ? this.#deriveSignature(header.task) : undefined
    const file = new IncomingFile({ header, task, expected, signature })
    await this.#waitForSlot()
    this.#throwIfFailed()
    file.start(this.#init.staging)
    this.#open = file
  }

  #deriveSignature (task: number): DerivedSignature | undefined {
    const signature = this.#outstanding.signatureOf(task)
    const { deriveSignatures: follow } = this.#init
    if (signature === undefined || follow === undefined) return undefined
    return new DerivedSignature({ hash: follow.hash, signature, createCutFinder: averageBits => {
      const finder = this.#finders.get(averageBits) ?? follow.createCutFinder(averageBits)
      this.#finders.set(averageBits, finder)
      return finder
    } })
  }

  async #end (end: FileEnd): Promise<void> {
    const file = this.#opened(end.task)
    file.checkComplete()
    this.#open = undefined
    await this.#stage(async () => { this.#record(await file.finish(end.digest)) })
    // Only now: once all tasks are answered, `staged` must wait for this file.
    this.#outstanding.answer(end.task)
  }

  async #acceptProblem (report: FileProblem): Promise<void> {
    const { expected } = this.#outstanding.answer(report.task)
    if (this.#open !== undefined) {
      const open = this.#opened(report.task)
      this.#open = undefined
      await this.#stage(async () => { await open.abandon() })
    }
    const found = problem(expected.path, report.code, detailOf(report))
    this.#problems.add(found)
    this.#init.onFileProblem?.(report.task, found)
    this.#report()
  }

  #opened (task: number): IncomingFile {
    if (this.#open?.task !== task) throw unexpected('data of a file without its FILE_HEADER')
    return this.#open
  }

  // In the background, so that the next frame can be received meanwhile; waits only if too much is being staged.
  async #stage (work: () => Promise<void>): Promise<void> {
    await this.#waitForSlot()
    this.#throwIfFailed()
    const staged = work().catch((error: unknown) => {
      this.#failure ??= { error }
      this.onFailure(error)
    }).finally(() => { this.#staging.delete(staged) })
    this.#staging.add(staged)
  }

  async #waitForSlot (): Promise<void> {
    while (this.#staging.size >= STAGING_MAX) await Promise.race(this.#staging)
  }

  /** @param due the tasks that must have an outcome */
  #recordAll (outcomes: readonly StageOutcome[], due: Set<number>): void {
    for (const outcome of outcomes) {
      if (!due.delete(outcome.task)) throw new FileSyncError('INTERNAL', 'The staging area reported a file that it was not given.')
      this.#record(outcome)
    }
    if (due.size > 0) throw new FileSyncError('INTERNAL', 'The staging area did not report the outcome of a file.')
  }

  #record (outcome: StageOutcome): void {
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

// The text of the code is ours; only the detail after it comes from the client.
function detailOf (report: FileProblem): string | undefined {
  // From a newer client: there is no text of ours for it.
  if (report.code === 'OTHER') return report.message === '' ? undefined : report.message
  const words = problem('', report.code).message
  return report.message.startsWith(`${words}: `) ? report.message.slice(words.length + 2) : undefined
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('DATA_UNEXPECTED', `The other end sent ${what}.`)
}
