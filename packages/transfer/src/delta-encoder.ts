import type { HashBytes } from '@filesync/protocol'
import { Chunker } from './chunker.ts'
import { DeltaWriter } from './delta-frame.ts'
import { chunkSizes } from './gear.ts'
import type { CutFinder } from './gear.ts'
import type { Signature } from './signature.ts'

/**
 * Turns a file into copies of what the signature describes, and data for the rest. After a known chunk, the one that follows
 * it in the signature is guessed: if its digest matches, the cut finder, which takes longer than all else, is skipped. The
 * work is linear in the size of the file, whatever its content and the signature are.
 */
export class DeltaEncoder {
  readonly #signature: Signature
  readonly #hash: HashBytes
  readonly #chunker: Chunker
  readonly #writer: DeltaWriter
  readonly #minBytes: number
  /** Index of the chunk of the signature that is expected next. */
  #next = 0
  /** Index of the next chunk if it was guessed. */
  #guessed: number | undefined

  constructor (init: { readonly task: number, readonly signature: Signature, readonly cuts: CutFinder, readonly hash: HashBytes }) {
    const { signature, hash } = init
    this.#signature = signature
    this.#hash = hash
    this.#minBytes = chunkSizes(signature.averageBits).minBytes
    this.#chunker = new Chunker(init.cuts, {
      nextBytes: () => this.#nextBytes(),
      matches: chunk => {
        if (signature.matches(this.#next, hash(chunk), chunk.length)) this.#guessed = this.#next
        return this.#guessed !== undefined
      },
    })
    this.#writer = new DeltaWriter(init.task)
  }

  push (bytes: Uint8Array): void {
    for (const chunk of this.#chunker.push(bytes)) this.#add(chunk)
  }

  /** Call once, after the last bytes. */
  finish (): void {
    for (const chunk of this.#chunker.finish()) this.#add(chunk)
    this.#writer.flush()
  }

  /** Whether a frame is ready to be taken. */
  get isDue (): boolean {
    return this.#writer.isDue
  }

  /** The next DELTA frame with its header, if one is ready. */
  take (): Uint8Array<ArrayBuffer> | undefined {
    return this.#writer.take()
  }

  // The last chunk ended with its file, not at a cut. Nor are there cuts below the minimum length: a signature that claims so
  // would have the file hashed byte by byte.
  #nextBytes (): number | undefined {
    if (this.#next >= this.#signature.chunks - 1) return undefined
    const bytes = this.#signature.lengthOf(this.#next)
    return bytes < this.#minBytes ? undefined : bytes
  }

  #add (chunk: Uint8Array): void {
    const found = this.#guessed ?? this.#signature.find(this.#hash(chunk), chunk.length)
    this.#guessed = undefined
    if (found === undefined) {
      this.#next = this.#signature.chunks
      this.#writer.data(chunk)
    } else {
      this.#next = found + 1
      this.#writer.copy(this.#signature.offsetOf(found), chunk.length)
    }
  }
}
