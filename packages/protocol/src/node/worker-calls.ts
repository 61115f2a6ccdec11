import type { Transferable, Worker } from 'node:worker_threads'
import { endWorker } from './end-worker.ts'

export interface WorkerCallsInit<Message> {
  /** Starts the worker, with the first call or by `start`. */
  readonly startWorker: () => Worker
  /** Receives what the worker posts; it answers calls by `resolve` and `reject`. */
  readonly onMessage: (message: Message) => void
  /** The error of calls that a failure of the worker leaves unanswered, and of all later calls. */
  readonly errorOfFailure: (cause: unknown) => Error
  /** The same if the worker exits. */
  readonly errorOfExit: () => Error
}

const NOTHING: readonly Transferable[] = []

interface PendingCall<Note> {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
  readonly note: Note | undefined
}

/**
 * Calls to a worker thread that answers them by id, in any order. The process stays alive while a call is pending, and the
 * worker alone does not keep it alive. A worker that has failed or exited is not started again.
 */
export class WorkerCalls<Request extends { readonly id: number }, Message, Note = undefined> {
  readonly #init: WorkerCallsInit<Message>
  readonly #pending = new Map<number, PendingCall<Note>>()
  #worker: Worker | undefined
  #lastId = 0
  #holds = 0
  #failure: Error | undefined

  constructor (init: WorkerCallsInit<Message>) {
    this.#init = init
  }

  /** Number of calls without an answer. */
  get pending (): number {
    return this.#pending.size
  }

  /** Starts the worker before the first call, unless it was started or closed. */
  start (): void {
    if (this.#failure === undefined) this.#started()
  }

  /** The id of the next call. Throws the error that ended the worker. */
  nextId (): number {
    if (this.#failure !== undefined) throw this.#failure
    return ++this.#lastId
  }

  /** Posts a call with an id from `nextId`. Its note can be read until it is answered. Rejects if the worker ends. */
  call<Result> (request: Request, transfer: readonly Transferable[] = NOTHING, note?: Note): Promise<Result> {
    // Not async, because callers are: that would be a second promise for each call.
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const worker = this.#started()
    worker.postMessage(request, transfer)
    if (this.#isIdle()) worker.ref()
    return new Promise<Result>((resolve, reject) => { this.#pending.set(request.id, { resolve, reject, note }) })
  }

  /** Posts a message that has no answer, unless the worker was never started or has ended. */
  post (message: object): void {
    if (this.#failure === undefined) this.#worker?.postMessage(message)
  }

  noteOf (id: number): Note | undefined {
    return this.#pending.get(id)?.note
  }

  resolve (id: number, result: unknown): void {
    const call = this.#pending.get(id)
    this.#remove(id)
    call?.resolve(result as never)
  }

  reject (id: number, error: Error): void {
    const call = this.#pending.get(id)
    this.#remove(id)
    call?.reject(error)
  }

  /** Keeps the process alive until `release`, even if no call is pending. */
  hold (): void {
    if (this.#isIdle()) this.#worker?.ref()
    this.#holds++
  }

  release (): void {
    this.#holds--
    if (this.#isIdle()) this.#worker?.unref()
  }

  /** Rejects the pending calls and all later ones, and ends the worker. */
  async close (error: Error): Promise<void> {
    this.#fail(error)
    if (this.#worker !== undefined) await endWorker(this.#worker)
  }

  #started (): Worker {
    if (this.#worker !== undefined) return this.#worker
    const { startWorker, onMessage, errorOfFailure, errorOfExit } = this.#init
    const worker = this.#worker = startWorker()
    worker.on('message', onMessage)
    worker.on('error', cause => { this.#fail(errorOfFailure(cause)) })
    worker.on('exit', () => { this.#fail(errorOfExit()) })
    if (this.#isIdle()) worker.unref()
    return worker
  }

  #isIdle (): boolean {
    return this.#pending.size + this.#holds === 0
  }

  #remove (id: number): void {
    if (this.#pending.delete(id) && this.#isIdle()) this.#worker?.unref()
  }

  #fail (error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#pending.values()) reject(this.#failure)
    this.#pending.clear()
  }
}
