import { Worker } from 'node:worker_threads'
import { FileSyncError } from '@filesync/protocol'
import type { ErrorCode } from '@filesync/protocol'

/** Makes signatures of files in a thread of its own, one at a time. */
export interface Signer {
  /**
   * The signature of an open file, which stays the caller's to close. Rejects with ABORTED, or INTERNAL where the file is
   * shorter than told.
   */
  sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
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
  | { readonly call: number, readonly signature: Uint8Array<ArrayBuffer> }
  | { readonly call: number, readonly error: { readonly code: ErrorCode, readonly message: string } }

export function openSigner (): Signer {
  return new ThreadSigner()
}

class ThreadSigner implements Signer {
  readonly #worker = new Worker(new URL('./signer-worker.ts', import.meta.url))
  readonly #calls = new Map<number, { resolve: (signature: Uint8Array<ArrayBuffer>) => void, reject: (error: unknown) => void }>()
  #numbers = 0
  #failure: FileSyncError | undefined

  constructor () {
    this.#worker.unref()
    this.#worker.on('message', (answer: SignAnswer) => { this.#settle(answer) })
    this.#worker.on('error', error => { this.#fail(new FileSyncError('INTERNAL', 'The thread that signs files failed.', { cause: error })) })
    this.#worker.on('exit', () => { this.#fail(closed()) })
  }

  async sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure
    const call = this.#numbers++
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const onAbort = (): void => { Atomics.store(stop, 0, 1) }
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await new Promise((resolve, reject) => {
        this.#calls.set(call, { resolve, reject })
        this.#worker.ref()
        this.#worker.postMessage({ call, fd, sizeBytes, stop } satisfies SignQuestion)
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async close (): Promise<void> {
    this.#fail(closed())
    await this.#worker.terminate()
  }

  #settle (answer: SignAnswer): void {
    const call = this.#calls.get(answer.call)
    this.#calls.delete(answer.call)
    if (this.#calls.size === 0) this.#worker.unref()
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
