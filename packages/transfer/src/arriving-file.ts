import { FileSyncError } from '@filesync/protocol'
import type { Digest, FileHeader, ReuseBuffer, StagedFile, StageOutcome, StagingArea, Task } from '@filesync/protocol'
import type { DeltaOperation } from './delta-frame.ts'
import type { FollowedSignature } from './followed-signature.ts'
import type { ExpectedFile } from './outstanding-tasks.ts'

export interface ArrivingFileInit {
  readonly header: FileHeader
  /** What it answers. */
  readonly task: Task
  readonly expected: ExpectedFile
  /** Follows a file that arrives as a difference. */
  readonly signature: FollowedSignature | undefined
}

/** A streamed file that arrives, with the count of what it may still bring. */
export class ArrivingFile {
  readonly task: number
  readonly #content: FileHeader['content']
  readonly #offset: number
  readonly #sizeBytes: number
  #missingBytes: number
  readonly #signature: FollowedSignature | undefined
  #staged: Promise<StagedFile> | undefined
  /** The call to the staging area that is under way. */
  #busy: Promise<void> = Promise.resolve()

  /** Throws DATA_UNEXPECTED where the header does not answer its task. */
  constructor ({ header, task, expected, signature }: ArrivingFileInit) {
    if (header.sizeBytes !== expected.sizeBytes) throw unexpected('announced another size than it listed')
    const how = task[2] ?? 'WHOLE'
    const offset = task[2] === 'RESUME' || task[2] === 'SPARSE' ? task[3] : 0
    const isAnswer = how === 'DIGEST' ? header.content === 'NONE' : header.content === 'DATA' || (how === 'DELTA' && header.content === 'DELTA')
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
    this.#staged.catch(() => { /* seen by the first that waits for it */ })
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
    if (this.#content !== 'DELTA') throw unexpected('sent a difference in another kind of answer')
    for (const operation of operations) {
      const lengthBytes = operation.kind === 'COPY' ? operation.lengthBytes : operation.content.length
      if (lengthBytes === 0) throw unexpected('sent an operation without effect')
      this.#count(lengthBytes)
      if (operation.kind === 'COPY') this.#signature?.copy(operation.offset, lengthBytes)
      else this.#signature?.data(operation.content)
      await this.#call(async staged => {
        if (operation.kind === 'COPY') await staged.copy(operation.offset, lengthBytes)
        // A piece of its own: the bytes are given away, and the frame holds more than these.
        else await staged.write(operation.content.slice())
      })
    }
  }

  /** Throws DATA_UNEXPECTED where bytes are missing. */
  checkComplete (): void {
    if (this.#missingBytes > 0) throw unexpected('ended a file before its announced size')
  }

  async finish (digest: Digest): Promise<StageOutcome> {
    // Before anything is waited for: the next file is followed with the same finder of cuts.
    const signature = this.#signature?.finish()
    return await (await this.#area()).finish(digest, signature)
  }

  /** Waits for the call that is under way before. */
  async abandon (): Promise<void> {
    await this.#busy.catch(() => { /* whoever made that call knows */ })
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
  return new FileSyncError('DATA_UNEXPECTED', `The client ${what}.`)
}
