import { FileSyncError } from '@filesync/protocol'
import type { Digest, FileHeader, ReuseBuffer, StagedFile, StageOutcome, StagingArea, Task } from '@filesync/protocol'
import type { DeltaOperation } from './delta-frame.ts'
import type { DerivedSignature } from './derived-signature.ts'
import type { ExpectedFile } from './outstanding-tasks.ts'

export interface IncomingFileInit {
  readonly header: FileHeader
  /** The task that it answers. */
  readonly task: Task
  readonly expected: ExpectedFile
  /** The signature to derive, for a file that arrives as a delta. */
  readonly signature: DerivedSignature | undefined
}

/** A streamed file that is arriving; counts the bytes that are still missing. */
export class IncomingFile {
  readonly task: number
  readonly #content: FileHeader['content']
  readonly #offset: number
  readonly #sizeBytes: number
  #missingBytes: number
  readonly #signature: DerivedSignature | undefined
  #staged: Promise<StagedFile> | undefined
  /** The pending call to the staging area. */
  #busy: Promise<void> = Promise.resolve()

  /** Throws DATA_UNEXPECTED if the header does not answer its task. */
  constructor ({ header, task, expected, signature }: IncomingFileInit) {
    if (header.sizeBytes !== expected.sizeBytes) throw unexpected('announced a file of another size than it listed')
    const how = task[2] ?? 'WHOLE'
    const offset = task[2] === 'RESUME' || task[2] === 'SPARSE' ? task[3] : 0
    const isAnswer = how === 'DIGEST'
      ? header.content === 'NONE'
      : header.content === 'DATA' || (how === 'DELTA' && header.content === 'DELTA')
    if (!isAnswer || header.offset !== offset) throw unexpected('sent another part of a file than it was asked for')
    this.task = header.task
    this.#content = header.content
    this.#offset = header.offset
    this.#sizeBytes = header.sizeBytes
    this.#signature = signature
    this.#missingBytes = header.content === 'NONE' ? 0 : header.sizeBytes - header.offset
  }

  get arrivedBytes (): number {
    return this.#content === 'NONE' ? 0 : this.#sizeBytes - this.#offset - this.#missingBytes
  }

  start (staging: StagingArea): void {
    this.#staged = staging.beginFile(this.task, this.#offset)
    this.#staged.catch(() => { /* handled by the first call that awaits it */ })
  }

  async write (bytes: Uint8Array<ArrayBuffer>, reuse: ReuseBuffer): Promise<void> {
    if (this.#content !== 'DATA') throw unexpected('sent plain data in another kind of answer')
    this.#count(bytes.length)
    await this.#call(async staged => { await staged.write(bytes, reuse) })
  }

  async hole (bytes: number): Promise<void> {
    if (this.#content !== 'DATA') throw unexpected('sent a hole in another kind of answer')
    this.#count(bytes)
    await this.#call(async staged => { await staged.hole(bytes) })
  }

  async apply (operations: Iterable<DeltaOperation>): Promise<void> {
    if (this.#content !== 'DELTA') throw unexpected('sent a delta in another kind of answer')
    for (const operation of operations) {
      const lengthBytes = operation.kind === 'COPY' ? operation.lengthBytes : operation.content.length
      if (lengthBytes === 0) throw unexpected('sent an operation without effect')
      this.#count(lengthBytes)
      if (operation.kind === 'COPY') this.#signature?.copy(operation.offset, lengthBytes)
      else this.#signature?.data(operation.content)
      await this.#call(async staged => {
        if (operation.kind === 'COPY') await staged.copy(operation.offset, lengthBytes)
        // A copy: the buffer is transferred, and that of the frame holds more than these bytes.
        else await staged.write(operation.content.slice())
      })
    }
  }

  /** Throws DATA_UNEXPECTED if bytes are missing. */
  checkComplete (): void {
    if (this.#missingBytes > 0) throw unexpected('ended a file before its announced size')
  }

  async finish (digest: Digest): Promise<StageOutcome> {
    // Before any await, because the next file uses the same cut finder.
    const signature = this.#signature?.finish()
    return await (await this.#area()).finish(digest, signature)
  }

  /** Waits for the pending call first. */
  async abandon (): Promise<void> {
    await this.#busy.catch(() => { /* its caller handles it */ })
    await (await this.#area()).abandon()
  }

  async #call (work: (staged: StagedFile) => Promise<void>): Promise<void> {
    this.#busy = this.#area().then(work)
    await this.#busy
  }

  async #area (): Promise<StagedFile> {
    if (this.#staged === undefined) throw new FileSyncError('INTERNAL', 'A file was written before it was begun.')
    return await this.#staged
  }

  #count (bytes: number): void {
    if (bytes > this.#missingBytes) throw unexpected('sent more of a file than it announced')
    this.#missingBytes -= bytes
  }
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('DATA_UNEXPECTED', `The other end ${what}.`)
}
