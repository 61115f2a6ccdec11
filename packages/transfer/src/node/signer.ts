import { Worker } from 'node:worker_threads'
import { FileSyncError } from '@filesync/protocol'
import type { ErrorCode } from '@filesync/protocol'
import { endWorker } from '@filesync/protocol/node'

/** Makes signatures of files in a thread of its own, one at a time. */
export interface Signer {
  /**
   * The signature of an open file, which stays the caller's to close; undefined where it cannot be read, or is shorter
   * than told. Rejects with ABORTED.
   */
  sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined>
  close (): Promise<void>
}

export interface SignQuestion {
  readonly call: number
  readonly fd: number
  readonly sizeBytes: number
  /** Set to 1 to stop. */
  readonly stop: Int32Array<SharedArrayBuffer>
}

export type SignAnswer =
  | { readonly call: number, readonly signature: Uint8Array<ArrayBuffer> | undefined }
  | { readonly call: number, readonly error: { readonly code: ErrorCode, readonly message: string } }

export function openSigner (): Signer {
  return new ThreadSigner()
}

class ThreadSigner implements Signer {
  #worker: Worker | undefined
  readonly #calls = new Map<number, { resolve: (signature: Uint8Array<ArrayBuffer> | undefined) => void, reject: (error: unknown) => void }>()
  #numbers = 0
  #failure: FileSyncError | undefined

  async sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined> {
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure
    const call = this.#numbers++
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const onAbort = (): void => { Atomics.store(stop, 0, 1) }
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await new Promise((resolve, reject) => {
        this.#calls.set(call, { resolve, reject })
        const worker = this.#worker ??= this.#start()
        worker.ref()
        worker.postMessage({ call, fd, sizeBytes, stop } satisfies SignQuestion)
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async close (): Promise<void> {
    this.#fail(closed())
    if (this.#worker !== undefined) await endWorker(this.#worker)
  }

  // When the first file is to be signed: most servers never do.
  #start (): Worker {
    const worker = new Worker(new URL('./signer-worker.ts', import.meta.url))
    worker.on('message', (answer: SignAnswer) => { this.#settle(answer) })
    worker.on('error', error => { this.#fail(new FileSyncError('INTERNAL', 'The thread that signs files failed.', { cause: error })) })
    worker.on('exit', () => { this.#fail(closed()) })
    return worker
  }

  #settle (answer: SignAnswer): void {
    const call = this.#calls.get(answer.call)
    this.#calls.delete(answer.call)
    if (this.#calls.size === 0) this.#worker?.unref()
    if ('signature' in answer) call?.resolve(answer.signature)
    else call?.reject(new FileSyncError(answer.error.code, answer.error.message))
  }

  #fail (error: FileSyncError): void {
    this.#failure ??= error
    for (const call of this.#calls.values()) call.reject(this.#failure)
    this.#calls.clear()
  }
}

function closed (): FileSyncError {
  return new FileSyncError('ABORTED', 'The signer is closed.')
}
