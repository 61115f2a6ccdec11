import type { HashBytes } from '@filesync/protocol'
import { Chunker } from './chunker.ts'
import { DeltaWriter } from './delta-frame.ts'
import type { CutFinder } from './gear.ts'
import type { Signature } from './signature.ts'

/**
 * Turns a file into copies of what the signature describes and data for the rest. Each chunk is hashed once and looked up
 * once, so the work is linear in the file whatever the content is.
 */
export class DeltaEncoder {
  readonly #signature: Signature
  readonly #hash: HashBytes
  readonly #chunker: Chunker
  readonly #writer: DeltaWriter

  constructor (init: { readonly task: number, readonly signature: Signature, readonly cuts: CutFinder, readonly hash: HashBytes }) {
    this.#signature = init.signature
    this.#hash = init.hash
    this.#chunker = new Chunker(init.cuts)
    this.#writer = new DeltaWriter(init.task)
  }

  push (bytes: Uint8Array): void {
    for (const chunk of this.#chunker.push(bytes)) this.#add(chunk)
  }

  /** Call once, behind the last bytes. */
  finish (): void {
    const rest = this.#chunker.finish()
    if (rest !== undefined) this.#add(rest)
    this.#writer.flush()
  }

  /** Whether a frame waits to be taken. */
  get isDue (): boolean {
    return this.#writer.isDue
  }

  /** The next DELTA frame, header in front, while there is one. */
  take (): Uint8Array<ArrayBuffer> | undefined {
    return this.#writer.take()
  }

  #add (chunk: Uint8Array): void {
    const offset = this.#signature.find(this.#hash(chunk), chunk.length)
    if (offset === undefined) this.#writer.data(chunk)
    else this.#writer.copy(offset, chunk.length)
  }
}
