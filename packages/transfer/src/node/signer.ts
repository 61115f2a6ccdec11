import { Worker } from 'node:worker_threads'
import { FileSyncError } from '@filesync/protocol'
import type { ErrorCode } from '@filesync/protocol'
import { WorkerCalls } from '@filesync/protocol/node'

/** Makes signatures of files in a separate thread, one at a time. */
export interface Signer {
  /**
   * The signature of an open file, which the caller closes; undefined if it cannot be read or is shorter than `sizeBytes`.
   * Rejects with ABORTED.
   */
  sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined>
  close (): Promise<void>
}

export interface SignQuestion {
  readonly id: number
  readonly fd: number
  readonly sizeBytes: number
  /** Set to 1 to stop. */
  readonly stop: Int32Array<SharedArrayBuffer>
}

export type SignAnswer =
  | { readonly id: number, readonly signature: Uint8Array<ArrayBuffer> | undefined }
  | { readonly id: number, readonly error: { readonly code: ErrorCode, readonly message: string } }

export function openSigner (): Signer {
  return new ThreadSigner()
}

class ThreadSigner implements Signer {
  // The thread is started for the first file: most servers never sign one.
  readonly #calls = new WorkerCalls<SignQuestion, SignAnswer>({
    startWorker: () => new Worker(new URL('./signer-worker.ts', import.meta.url)),
    onMessage: answer => { this.#receive(answer) },
    errorOfFailure: cause => new FileSyncError('INTERNAL', 'The thread that makes signatures failed.', { cause }),
    errorOfExit: closed,
  })

  async sign (fd: number, sizeBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined> {
    signal?.throwIfAborted()
    const id = this.#calls.nextId()
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const onAbort = (): void => { Atomics.store(stop, 0, 1) }
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#calls.call({ id, fd, sizeBytes, stop })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async close (): Promise<void> {
    await this.#calls.close(closed())
  }

  #receive (answer: SignAnswer): void {
    if ('signature' in answer) this.#calls.resolve(answer.id, answer.signature)
    else this.#calls.reject(answer.id, new FileSyncError(answer.error.code, answer.error.message))
  }
}

function closed (): FileSyncError {
  return new FileSyncError('ABORTED', 'The signer is closed.')
}
