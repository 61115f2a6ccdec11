import type { HashBytes } from '@filesync/protocol'
import type { CutFinder } from './gear.ts'
import { averageBitsFor, Signature, SignatureBuilder } from './signature.ts'

/** Where so much of a file is new, its signature is made by reading it when it is next needed. */
const NEW_BYTES_MAX = 64 << 20

export interface FollowedSignatureInit {
  /** Of the old file. */
  readonly signature: Uint8Array
  readonly createCutFinder: (averageBits: number) => CutFinder
  readonly hash: HashBytes
}

/**
 * Puts the signature of a new file together from the operations that make it: copied chunks are described already, and only
 * what is new is chunked and hashed. The same as signing the new file where its sender cut it into chunks as `DeltaEncoder`
 * does. Whatever a sender does, each record is true of the bytes that it stands for, as far as the old signature was.
 */
export class FollowedSignature {
  readonly #old: Signature
  readonly #init: FollowedSignatureInit
  readonly #builder: SignatureBuilder
  #fileBytes = 0
  #newBytes = 0
  #isLost = false

  constructor (init: FollowedSignatureInit) {
    this.#init = init
    this.#old = new Signature(init.signature)
    this.#builder = new SignatureBuilder({ averageBits: this.#old.averageBits, cuts: lazily(() => this.#init.createCutFinder(this.#old.averageBits)), hash: init.hash })
  }

  copy (offset: number, lengthBytes: number): void {
    this.#fileBytes += lengthBytes
    if (this.#isLost) return
    const records = this.#old.recordsOf(offset, lengthBytes)
    if (records === undefined) this.#isLost = true
    else this.#builder.append(records, lengthBytes)
  }

  /** The bytes may be changed afterwards. */
  data (bytes: Uint8Array): void {
    this.#fileBytes += bytes.length
    this.#newBytes += bytes.length
    if (this.#newBytes > NEW_BYTES_MAX) this.#isLost = true
    if (!this.#isLost) this.#builder.push(bytes)
  }

  /** Undefined where it could not be followed. */
  finish (): Uint8Array<ArrayBuffer> | undefined {
    const isOver = this.#isLost || averageBitsFor(this.#fileBytes) !== this.#old.averageBits
    return isOver ? undefined : this.#builder.finish()
  }
}

/** Most differences are small, and a finder takes a mebibyte. */
function lazily (create: () => CutFinder): CutFinder {
  let made: CutFinder | undefined
  return {
    push: bytes => (made ??= create()).push(bytes),
    restart: () => { made?.restart() },
  }
}
