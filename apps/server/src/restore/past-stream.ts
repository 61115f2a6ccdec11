import { fstat } from 'node:fs'
import type { PastTree } from '@filesync/archive'
import { equalDigests, LIMITS } from '@filesync/protocol'
import type { Hasher, RelativePath } from '@filesync/protocol'
import { DATA_CONTENT_AT, dataAtStart, holeAtStart, writeDataHeader } from '@filesync/transfer'
import type { FileFault, SourceStream, StreamRequest, StreamStep } from '@filesync/transfer'
import { readAt } from './read-fully.ts'

export interface PastStreamInit {
  readonly tree: PastTree
  readonly path: RelativePath
  readonly createHasher: () => Hasher
  readonly allocate: (sizeBytes: number) => Uint8Array<ArrayBuffer>
  /** The whole file was read, and has the digest that it must have. */
  readonly onWhole: (bytes: number) => void
  readonly onDamaged: () => void
  readonly onClosed: () => void
}

type Handle = NonNullable<Awaited<ReturnType<PastTree['open']>>>

/** Bytes that are read in one step if none of them are sent. */
const UNSENT_BYTES_PER_STEP = 8 << 20
const BLOCK_BYTES = 512

/** One large file of a past state that is being read: a beginning that the client has is only hashed, the rest becomes frames. */
export class PastStream implements SourceStream {
  readonly #request: StreamRequest
  readonly #init: PastStreamInit
  readonly #hasher: Hasher
  #handle: Handle | undefined
  #hasHoles = false
  #position = 0
  #scratch: Uint8Array<ArrayBuffer> | undefined
  #isClosed = false
  /** Steps come in order, also if they are asked for before the last one is there. */
  #last: Promise<StreamStep | undefined> = Promise.resolve(undefined)

  constructor (request: StreamRequest, init: PastStreamInit) {
    this.#request = request
    this.#init = init
    this.#hasher = init.createHasher()
  }

  async next (): Promise<StreamStep> {
    const step = this.#last.then(async before => before?.kind === 'END' || before?.kind === 'FAULT' ? before : await this.#step())
    this.#last = step.catch(() => undefined)
    return await step
  }

  close (): void {
    void this.end()
  }

  /** As `close`; resolves when the file is closed. */
  async end (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#last
    await this.#handle?.close()
    this.#handle = undefined
    this.#init.onClosed()
  }

  async #step (): Promise<StreamStep> {
    const { file: { entry: { sizeBytes } }, content } = this.#request
    const { tree, path } = this.#init
    if (this.#isClosed) return fault('EXPIRED')
    const stored = tree.digest(path)
    if (content === 'NONE' && stored !== undefined) return { kind: 'END', digest: stored }
    if (this.#handle === undefined) {
      const opened = await this.#open()
      if (opened !== undefined) return { kind: 'FAULT', fault: opened }
    }
    return this.#position < sizeBytes ? await this.#read() : await this.#finish()
  }

  async #open (): Promise<FileFault | undefined> {
    const handle = this.#handle = await this.#init.tree.open(this.#init.path)
    if (handle === undefined) return { code: 'EXPIRED' }
    const allocated = await new Promise<number>(resolve => {
      fstat(handle.fd, (error, stats) => { resolve(error === null ? stats.blocks * BLOCK_BYTES : Infinity) })
    })
    this.#hasHoles = this.#request.holes === true && allocated < handle.sizeBytes
    return undefined
  }

  async #read (): Promise<StreamStep> {
    const { file: { entry: { sizeBytes }, task }, content, offset, pieceBytes } = this.#request
    const isSent = content === 'DATA' && this.#position >= offset
    if (!isSent) return await this.#hashOn(content === 'DATA' ? offset : sizeBytes)
    if (this.#hasHoles) return await this.#readSparse()
    const length = Math.min(pieceBytes, sizeBytes - this.#position)
    const frame = this.#init.allocate(DATA_CONTENT_AT + length)
    if (!await this.#fill(frame.subarray(DATA_CONTENT_AT))) return this.#damaged()
    writeDataHeader(frame, task)
    return { kind: 'FRAME', frame, fileBytes: length }
  }

  /** Hashes what is not sent, several pieces in one step. */
  async #hashOn (end: number): Promise<StreamStep> {
    let fileBytes = 0
    while (this.#position < end && fileBytes < UNSENT_BYTES_PER_STEP) {
      const piece = this.#piece(end)
      if (!await this.#fill(piece)) return this.#damaged()
      fileBytes += piece.length
    }
    return { kind: 'READ', fileBytes }
  }

  async #readSparse (): Promise<StreamStep> {
    const { file: { entry: { sizeBytes }, task } } = this.#request
    let holeBytes = 0
    while (this.#position < sizeBytes && holeBytes + this.#request.pieceBytes <= LIMITS.holeBytes) {
      const piece = this.#piece(sizeBytes)
      const at = this.#position
      if (await readAt(this.#fd, piece, at) !== piece.length) return this.#damaged()
      const zeros = holeAtStart(piece)
      const used = zeros === 0 && holeBytes === 0 ? piece.subarray(0, dataAtStart(piece)) : piece.subarray(0, zeros)
      this.#hasher.update(used)
      this.#position += used.length
      if (zeros === 0 && holeBytes === 0) {
        const frame = this.#init.allocate(DATA_CONTENT_AT + used.length)
        frame.set(used, DATA_CONTENT_AT)
        writeDataHeader(frame, task)
        return { kind: 'FRAME', frame, fileBytes: used.length }
      }
      holeBytes += zeros
      if (zeros < piece.length) break
    }
    return { kind: 'HOLE', fileBytes: holeBytes }
  }

  async #finish (): Promise<StreamStep> {
    const stored = this.#init.tree.digest(this.#init.path)
    const digest = this.#hasher.digest()
    const isEnd = await readAt(this.#fd, new Uint8Array(1), this.#position) === 0
    if (!isEnd || (stored !== undefined && !equalDigests(digest, stored))) return this.#damaged()
    if (this.#request.content === 'DATA') this.#init.onWhole(this.#position - this.#request.offset)
    return { kind: 'END', digest }
  }

  /** A client that asks again gets another copy, if there is one. */
  #damaged (): StreamStep {
    this.#init.onDamaged()
    this.#init.tree.reject(this.#init.path)
    return fault('DAMAGED')
  }

  async #fill (piece: Uint8Array): Promise<boolean> {
    if (await readAt(this.#fd, piece, this.#position) !== piece.length) return false
    this.#hasher.update(piece)
    this.#position += piece.length
    return true
  }

  #piece (end: number): Uint8Array<ArrayBuffer> {
    const { pieceBytes } = this.#request
    this.#scratch ??= new Uint8Array(pieceBytes)
    return this.#scratch.subarray(0, Math.min(pieceBytes, end - this.#position))
  }

  get #fd (): number {
    return this.#handle?.fd ?? -1
  }
}

function fault (code: FileFault['code']): StreamStep {
  return { kind: 'FAULT', fault: { code } }
}
