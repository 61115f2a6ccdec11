import { Worker } from 'node:worker_threads'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { ReuseBuffer } from '@filesync/protocol'
import { WorkerCalls } from '@filesync/protocol/node'
import { LOADED } from './disk-calls.ts'
import type { DiskCalls, DiskReply, DiskRequest, DiskWorkerData } from './disk-calls.ts'
import { storeError } from './disk-errors.ts'

/** A buffer that contains the arguments' bytes, and the callback that receives it afterwards. */
export interface Loan {
  readonly buffer: ArrayBuffer
  readonly reuse: ReuseBuffer | undefined
}

/** A worker's garbage lives for one pack; by default, the engine reserves 48 MB for it in each worker. */
const YOUNG = { maxYoungGenerationSizeMb: 6 }

/** One disk worker, and its pending calls. */
export class DiskThread {
  readonly #worker: Worker
  readonly #calls: WorkerCalls<DiskRequest, DiskReply | typeof LOADED, ReuseBuffer>
  readonly #loaded: Promise<void>

  constructor (data: DiskWorkerData) {
    const worker = this.#worker = new Worker(new URL('./disk-worker.ts', import.meta.url), { workerData: data, resourceLimits: YOUNG })
    this.#loaded = new Promise(resolve => {
      for (const event of ['message', 'error', 'exit']) worker.once(event, () => { resolve() })
    })
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
    // V8 has been seen to end the whole process if a thread is terminated while it evaluates its modules.
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

// An error that a worker throws while it starts arrives as a plain error that has kept its code.
function breakdown (cause: unknown): FileSyncError {
  const code = errnoOf(cause)
  if (cause instanceof Error && (code === 'ARCHIVE_UNAVAILABLE' || code === 'ARCHIVE_ESCAPE')) {
    return new FileSyncError(code, cause.message, { cause })
  }
  const message = 'A disk worker of the archive stopped unexpectedly. Restart the server.'
  return storeError(cause) ?? new FileSyncError('INTERNAL', message, { cause })
}
