import { Worker } from 'node:worker_threads'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { ReuseBuffer } from '@filesync/protocol'
import { WorkerCalls } from '@filesync/protocol/node'
import { LOADED } from './disk-calls.ts'
import type { DiskCalls, DiskReply, DiskRequest, DiskWorkerData } from './disk-calls.ts'
import { storeTrouble } from './trouble.ts'

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
  readonly #calls: WorkerCalls<DiskRequest, DiskReply | typeof LOADED, ReuseBuffer>
  readonly #loaded: Promise<void>

  constructor (data: DiskWorkerData) {
    const worker = this.#worker = new Worker(new URL('./disk-worker.ts', import.meta.url), { workerData: data, resourceLimits: YOUNG })
    this.#loaded = new Promise(resolve => { for (const event of ['message', 'error', 'exit']) worker.once(event, () => { resolve() }) })
    this.#calls = new WorkerCalls({
      startWorker: () => worker,
      onMessage: reply => { if (reply !== LOADED) this.#receive(reply) },
      errorOfFailure: breakdown,
      errorOfExit: closed,
    })
    this.#calls.start()
  }

  get waiting (): number {
    return this.#calls.pending
  }

  async call<C extends keyof DiskCalls> (call: C, args: Parameters<DiskCalls[C]>, loan?: Loan): Promise<ReturnType<DiskCalls[C]>> {
    const lent = loan?.buffer
    return await this.#calls.call({ id: this.#calls.nextId(), call, args, lent }, lent === undefined ? undefined : [lent], loan?.reuse)
  }

  async close (): Promise<void> {
    // V8 was seen to end the whole process when a thread was ended while it evaluated its modules.
    this.#worker.ref()
    await this.#loaded
    await this.#calls.close(closed())
  }

  #receive (reply: DiskReply): void {
    if (reply.lent !== undefined) this.#calls.noteOf(reply.id)?.(reply.lent)
    if ('error' in reply) {
      const { code, message, path } = reply.error
      this.#calls.reject(reply.id, new FileSyncError(code, message, path === undefined ? {} : { path }))
    } else {
      this.#calls.resolve(reply.id, reply.result)
    }
  }
}

function closed (): FileSyncError {
  return new FileSyncError('ABORTED', 'The archive is closed.')
}

// What a worker throws while it starts arrives as a plain error with the code that it had.
function breakdown (cause: unknown): FileSyncError {
  const code = errnoOf(cause)
  if (cause instanceof Error && (code === 'ARCHIVE_UNAVAILABLE' || code === 'ARCHIVE_ESCAPE')) return new FileSyncError(code, cause.message, { cause })
  return storeTrouble(cause) ?? new FileSyncError('INTERNAL', 'A disk worker of the archive stopped unexpectedly. Restart the server.', { cause })
}
