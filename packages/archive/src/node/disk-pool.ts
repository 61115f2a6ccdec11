import { Worker } from 'node:worker_threads'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { ReuseBuffer } from '@filesync/protocol'
import { endWorker } from '@filesync/protocol/node'
import { LOADED } from './disk-calls.ts'
import type { DiskCalls, DiskReply, DiskRequest, DiskWorkerData } from './disk-calls.ts'
import { storeTrouble } from './trouble.ts'

interface Waiting {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
  readonly reuse: ReuseBuffer | undefined
}

/** A buffer that arguments lie in, and who gets it back. */
export interface Loan {
  readonly buffer: ArrayBuffer
  readonly reuse: ReuseBuffer | undefined
}

/** What a worker throws away lives for one pack; left alone, the engine gives that 48 MB in each of them. */
const YOUNG = { maxYoungGenerationSizeMb: 6 }

/** One worker and the calls that it has not answered. */
export class DiskThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #loaded: Promise<void>
  #next = 0
  #broken: Error | undefined

  constructor (data: DiskWorkerData) {
    this.#worker = new Worker(new URL('./disk-worker.ts', import.meta.url), { workerData: data, resourceLimits: YOUNG })
    this.#worker.unref()
    this.#worker.on('message', (reply: DiskReply | typeof LOADED) => { if (reply !== LOADED) this.#answer(reply) })
    this.#worker.on('error', cause => { this.#break(breakdown(cause)) })
    this.#worker.on('exit', () => { this.#break(new FileSyncError('ABORTED', 'The archive is closed.')) })
    this.#loaded = new Promise(resolve => { for (const event of ['message', 'error', 'exit']) this.#worker.once(event, () => { resolve() }) })
  }

  get waiting (): number {
    return this.#waiting.size
  }

  async call<C extends keyof DiskCalls> (call: C, args: Parameters<DiskCalls[C]>, loan?: Loan): Promise<ReturnType<DiskCalls[C]>> {
    if (this.#broken !== undefined) throw this.#broken
    const id = this.#next++
    const lent = loan?.buffer
    const request: DiskRequest = { id, call, args, lent }
    this.#worker.postMessage(request, lent === undefined ? [] : [lent])
    if (this.#waiting.size === 0) this.#worker.ref()
    return await new Promise((resolve, reject) => { this.#waiting.set(id, { resolve, reject, reuse: loan?.reuse }) })
  }

  async close (): Promise<void> {
    // V8 was seen to end the whole process when a thread was ended while it evaluated its modules.
    this.#worker.ref()
    await this.#loaded
    await endWorker(this.#worker)
  }

  #answer (reply: DiskReply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if (reply.lent !== undefined) waiting?.reuse?.(reply.lent)
    if ('error' in reply) {
      const { code, message, path } = reply.error
      waiting?.reject(new FileSyncError(code, message, path === undefined ? {} : { path }))
    } else {
      waiting?.resolve(reply.result as never)
    }
  }

  #break (error: Error): void {
    this.#broken ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#broken)
    this.#waiting.clear()
  }
}

// What a worker throws while it starts arrives as a plain error with the code that it had.
function breakdown (cause: unknown): FileSyncError {
  const code = errnoOf(cause)
  if (cause instanceof Error && (code === 'ARCHIVE_UNAVAILABLE' || code === 'ARCHIVE_ESCAPE')) return new FileSyncError(code, cause.message, { cause })
  return storeTrouble(cause) ?? new FileSyncError('INTERNAL', 'A disk worker of the archive stopped unexpectedly. Restart the server.', { cause })
}
