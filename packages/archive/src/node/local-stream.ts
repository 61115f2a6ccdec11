import type { Digest, ReuseBuffer } from '@filesync/protocol'
import type { ContentStream, StreamOutcome } from '../store/content-store.ts'
import type { DiskThread } from './disk-pool.ts'
import type { WriteProgress } from './partial-progress.ts'

/** Bytes of a stream that may wait for its worker. */
const STREAM_QUEUE_BYTES = 8 << 20
/** A long copy is made in parts, so that the worker can do other work in between. */
const COPY_BYTES = 8 << 20

/** A large file that a disk worker writes as it arrives; a limited number of bytes may wait for the worker. */
export class LocalStream implements ContentStream {
  readonly #thread: DiskThread
  readonly #id: number
  readonly #progress: WriteProgress
  #queuedBytes = 0
  #failure: unknown
  #tail: Promise<unknown> = Promise.resolve()

  constructor (thread: DiskThread, id: number, progress: WriteProgress) {
    this.#thread = thread
    this.#id = id
    this.#progress = progress
  }

  async write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void> {
    await this.#queue(bytes.length, () => this.#thread.call('write', [this.#id, bytes], { buffer: bytes.buffer, reuse }))
  }

  async copy (offset: number, lengthBytes: number): Promise<void> {
    for (let done = 0; done < lengthBytes; done += COPY_BYTES) {
      const length = Math.min(COPY_BYTES, lengthBytes - done)
      await this.#queue(length, () => this.#thread.call('copy', [this.#id, offset + done, length]))
    }
  }

  async hole (lengthBytes: number): Promise<void> {
    for (let left = lengthBytes; left > 0; left -= COPY_BYTES) {
      const length = Math.min(COPY_BYTES, left)
      await this.#queue(length, () => this.#thread.call('hole', [this.#id, length]))
    }
  }

  async finish (digest: Digest): Promise<StreamOutcome> {
    await this.#tail
    this.#throwIfFailed()
    this.#progress.ended('gone')
    return await this.#thread.call('finish', [this.#id, digest])
  }

  async abandon (): Promise<void> {
    await this.#tail
    await this.#thread.call('abandon', [this.#id])
    this.#progress.ended('unfinished')
  }

  async #queue (bytes: number, call: () => Promise<void>): Promise<void> {
    this.#throwIfFailed()
    this.#queuedBytes += bytes
    this.#tail = call().then(
      () => {
        this.#queuedBytes -= bytes
        this.#progress.wrote(bytes)
      },
      (error: unknown) => { this.#failure ??= error },
    )
    while (this.#queuedBytes > STREAM_QUEUE_BYTES && this.#failure === undefined) await this.#tail
    this.#throwIfFailed()
  }

  #throwIfFailed (): void {
    if (this.#failure !== undefined) throw this.#failure as Error
  }
}
