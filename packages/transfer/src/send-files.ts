import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, Connection, ListingResponder, NextSync, Tasks } from '@filesync/protocol'
import { AnswerPlan } from './answer-plan.ts'
import { AnswerSender } from './answer-sender.ts'
import type { PendingAnswer } from './answer-sender.ts'
import { Budget } from './budget.ts'
import type { Compression } from './compression-choice.ts'
import type { FileSource } from './file-source.ts'
import { ProgressMeter } from './progress.ts'
import type { TransferProgress } from './progress.ts'
import { Queue } from './queue.ts'
import { TaskIntake } from './task-intake.ts'

export interface SendFilesInit {
  readonly connection: Connection
  /** What the server knows of the tree; tasks refer to its entries. */
  readonly answers: ListingResponder
  readonly source: FileSource
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** The first page of tasks, if it was already received. */
  readonly firstPage?: Tasks
  readonly onProgress?: (progress: TransferProgress) => void
  /** Bytes per second on the wire. Default no limit. */
  readonly limitBytesPerSecond?: number
  /** Default `never`. Anything else only if HELLO agreed on zstd. */
  readonly compression?: Compression
  /** Whether HELLO agreed on holes; otherwise zeros are sent as data. */
  readonly holes?: boolean
}

/** Most bytes that are read but not yet sent: enough that reading, hashing and sending overlap. */
const AHEAD_BYTES = 8 << 20
const PIECE_BYTES = 1 << 20
const PIECE_BYTES_MIN = 64 << 10

/**
 * The client's side of a session from TASKS to NEXT_SYNC: answers every task in order, with the file or with a problem, and
 * resolves with the server's NEXT_SYNC. Rejects with the FileSyncError that ended it. The caller closes the connection.
 */
export async function sendFiles (init: SendFilesInit): Promise<NextSync> {
  const transfer = new Transfer(init)
  return await transfer.run()
}

/**
 * Answers tasks as {@link sendFiles} does, but for an end that only reads: nothing is stored, so it resolves as soon as the last
 * task is answered. The message after that is left to the caller.
 */
export async function sendAnswers (init: SendFilesInit): Promise<void> {
  const transfer = new Transfer(init)
  await transfer.runTasks()
}

class Transfer {
  readonly #init: SendFilesInit
  readonly #meter: ProgressMeter
  readonly #intake: TaskIntake
  readonly #pieceBytes: number
  readonly #ahead = new Budget(AHEAD_BYTES)
  readonly #answers = new Queue<PendingAnswer>()
  readonly #sender: AnswerSender
  #isOver = false

  constructor (init: SendFilesInit) {
    this.#init = init
    this.#meter = new ProgressMeter(init.onProgress, init.clock.monotonicMs())
    this.#intake = new TaskIntake(stored => {
      this.#meter.filesStored = stored.files
      this.#meter.bytesStored = stored.bytes
      this.#meter.update(init.clock.monotonicMs())
    })
    // With a low limit, a piece of a mebibyte would be a burst of several seconds.
    const perBurst = Math.floor((init.limitBytesPerSecond ?? Infinity) / 8)
    this.#pieceBytes = Math.max(PIECE_BYTES_MIN, Math.min(PIECE_BYTES, perBurst))
    this.#sender = new AnswerSender({ ...init, meter: this.#meter, burstBytes: this.#pieceBytes })
  }

  async run (): Promise<NextSync> {
    return await this.#run(() => this.#listen())
  }

  async runTasks (): Promise<void> {
    if (this.#init.firstPage !== undefined) plainPage(this.#init.firstPage)
    await this.#run(() => this.#listenForTasks())
  }

  async #run<T> (listen: () => Promise<T>): Promise<T> {
    const { signal, firstPage, clock } = this.#init
    signal?.throwIfAborted()
    const stop = (): void => { this.#fail(asFileSyncError(signal?.reason, 'ABORTED')) }
    signal?.addEventListener('abort', stop, { once: true })
    try {
      if (firstPage !== undefined) this.#takePage(() => { this.#intake.acceptPage(firstPage) })
      const work = [this.#plan(), this.#send()]
      const [end] = await this.#orFail(Promise.all([listen(), ...work]))
      this.#meter.finish(clock.monotonicMs())
      return end
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  #failed: (error: unknown) => void = () => { /* set by orFail */ }

  // A failure ends the wait for the loops, whatever they wait for.
  async #orFail<T> (work: Promise<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      this.#failed = reject
      work.then(resolve, reject)
    })
  }

  #fail (error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#intake.fail(error)
    this.#ahead.fail(error)
    this.#answers.fail(error)
    this.#failed(error)
    for (let answer = this.#answers.takeNow(); answer !== undefined; answer = this.#answers.takeNow()) answer.drop()
    this.#sender.stop(error)
  }

  async #listen (): Promise<NextSync> {
    for (;;) {
      const incoming = await this.#init.connection.next()
      const nextSync = this.#takePage(() => this.#intake.accept(incoming))
      if (nextSync !== undefined) return this.#endTasks(nextSync)
    }
  }

  // What follows the last page is not part of this transfer.
  async #listenForTasks (): Promise<void> {
    while (!this.#intake.isComplete) {
      const page = plainPage(await this.#init.connection.receive(['TASKS']))
      this.#takePage(() => { this.#intake.acceptPage(page) })
    }
  }

  // NEXT_SYNC without a page of tasks means that there was nothing to send.
  #endTasks (nextSync: NextSync): NextSync {
    this.#intake.tasks.end()
    return nextSync
  }

  #takePage<T> (accept: () => T): T {
    const result = accept()
    this.#meter.isTotalKnown = this.#intake.isComplete && this.#intake.tasks.length === 0
    return result
  }

  async #plan (): Promise<void> {
    const { answers } = this.#init
    const plan = new AnswerPlan({
      intake: this.#intake,
      answers,
      pieceBytes: this.#pieceBytes,
      holes: this.#init.holes === true,
      onWanted: file => {
        this.#meter.filesWanted++
        this.#meter.bytesWanted += file.entry.sizeBytes
      },
    })
    for (let read = await plan.next(); read !== undefined; read = await plan.next()) {
      await this.#ahead.acquire(read.bytes)
      this.#answers.push(this.#sender.start(read))
      this.#meter.isTotalKnown = this.#intake.isComplete && this.#intake.tasks.length === 0
    }
    this.#answers.end()
  }

  async #send (): Promise<void> {
    for (let answer = await this.#answers.take(); answer !== undefined; answer = await this.#answers.take()) {
      this.#intake.answered(answer.tasks)
      await this.#sender.send(answer)
      this.#ahead.release(answer.bytes)
    }
  }
}

/** The page, without the tasks that need a file or the room of the other end. Throws TASK_INVALID. */
function plainPage (page: Tasks): Tasks {
  if (!page.tasks.some(task => task[2] === 'DELTA' || task[2] === 'SPARSE')) return page
  throw new FileSyncError('TASK_INVALID', 'The other end sent a task that only a server may send.')
}
