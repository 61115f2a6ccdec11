import { equalDigests } from '@filesync/protocol'
import type { Digest, HashBytes } from '@filesync/protocol'
import type { ContentStream, StreamOutcome, StagedStreamRequest } from '../store/content-store.ts'

export interface StagedStreamInit {
  readonly hash: HashBytes
  readonly before: (call: string) => void
  /** The partials of the area. */
  readonly partials: Map<string, Uint8Array>
  /** The present copy of the file. */
  readonly present: () => Uint8Array | undefined
  readonly stage: (content: Uint8Array) => void
}

/** A large file that is being received, in memory. */
export class MemoryStream implements ContentStream {
  readonly #request: StagedStreamRequest
  readonly #init: StagedStreamInit
  readonly #pieces: Uint8Array[]

  constructor (request: StagedStreamRequest, init: StagedStreamInit) {
    this.#request = request
    this.#init = init
    this.#pieces = [(init.partials.get(request.partial) ?? new Uint8Array(0)).slice(0, request.offset)]
    init.partials.set(request.partial, this.#content())
  }

  async write (bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#init.before('write')
    this.#pieces.push(bytes)
  }

  async copy (offset: number, lengthBytes: number): Promise<void> {
    this.#init.before('copy')
    this.#pieces.push((this.#init.present() ?? new Uint8Array(0)).slice(offset, offset + lengthBytes))
  }

  async hole (lengthBytes: number): Promise<void> {
    this.#init.before('hole')
    this.#pieces.push(new Uint8Array(lengthBytes))
  }

  async finish (digest: Digest): Promise<StreamOutcome> {
    this.#init.before('finish')
    const content = this.#content()
    this.#init.partials.delete(this.#request.partial)
    const isWhole = content.length === this.#request.sizeBytes && equalDigests(this.#init.hash(content), digest)
    if (isWhole) this.#init.stage(content)
    return isWhole ? 'WHOLE' : 'DIFFERENT'
  }

  async abandon (): Promise<void> {
    if (this.#init.partials.has(this.#request.partial)) this.#init.partials.set(this.#request.partial, this.#content())
  }

  #content (): Uint8Array {
    const content = new Uint8Array(this.#pieces.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const piece of this.#pieces) {
      content.set(piece, at)
      at += piece.length
    }
    return content
  }
}
