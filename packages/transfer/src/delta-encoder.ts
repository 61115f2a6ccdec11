import type { HashBytes } from '@filesync/protocol'
import { Chunker } from './chunker.ts'
import { DeltaWriter } from './delta-frame.ts'
import { chunkSizes } from './gear.ts'
import type { CutFinder } from './gear.ts'
import type { Signature } from './signature.ts'

/**
 * Turns a file into copies of what the signature describes and data for the rest. Behind a chunk that is known, the one that
 * follows it in the signature is guessed: where its digest is right the finder of cuts, which takes longer than all else, has
 * nothing to look at. The work is linear in the file, whatever its content and the signature are.
 */
export class DeltaEncoder {
  readonly #signature: Signature
  readonly #hash: HashBytes
  readonly #chunker: Chunker
  readonly #writer: DeltaWriter
  readonly #minBytes: number
  /** The chunk of the signature that probably comes next. */
  #next = 0
  /** Set where the chunk that is taken next was guessed. */
  #guessed: number | undefined

  constructor (init: { readonly task: number, readonly signature: Signature, readonly cuts: CutFinder, readonly hash: HashBytes }) {
    const { signature, hash } = init
    this.#signature = signature
    this.#hash = hash
    this.#minBytes = chunkSizes(signature.averageBits).minBytes
    this.#chunker = new Chunker(init.cuts, {
      nextBytes: () => this.#nextBytes(),
      holds: chunk => {
        if (signature.matches(this.#next, hash(chunk), chunk.length)) this.#guessed = this.#next
        return this.#guessed !== undefined
      },
    })
    this.#writer = new DeltaWriter(init.task)
  }

  push (bytes: Uint8Array): void {
    for (const chunk of this.#chunker.push(bytes)) this.#add(chunk)
  }

  /** Call once, behind the last bytes. */
  finish (): void {
    for (const chunk of this.#chunker.finish()) this.#add(chunk)
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

  // The last chunk ended with its file, and not where the finder would cut. Nor does it cut before the shortest length: a
  // signature that says so would have the file hashed byte by byte.
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
