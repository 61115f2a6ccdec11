import type { HashBytes } from '@filesync/protocol'
import type { CutFinder } from './gear.ts'
import { averageBitsFor, Signature, SignatureBuilder } from './signature.ts'

/** Where so much of a file is new, its signature is made by reading it when it is next needed. */
const NEW_BYTES_MAX = 64 << 20
/** What a signature may be longer than twice the old one: no honest difference comes near, one of tiny operations would fill the memory. */
const SPARE_BYTES = 1 << 20

export interface FollowedSignatureInit {
  /** Of the old file. */
  readonly signature: Uint8Array
  /** May give the same one again: one file is followed at a time. */
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
  readonly #mostBytes: number
  /** Undefined when it is given up. */
  #builder: SignatureBuilder | undefined
  #fileBytes = 0
  #newBytes = 0

  constructor ({ signature, createCutFinder, hash }: FollowedSignatureInit) {
    const old = this.#old = new Signature(signature)
    this.#mostBytes = 2 * signature.length + SPARE_BYTES
    this.#builder = new SignatureBuilder({ averageBits: old.averageBits, cuts: lazily(() => createCutFinder(old.averageBits)), hash })
  }

  copy (offset: number, lengthBytes: number): void {
    this.#fileBytes += lengthBytes
    if (this.#builder === undefined) return
    const records = this.#old.recordsOf(offset, lengthBytes)
    if (records === undefined) this.#builder = undefined
    else this.#builder.append(records, lengthBytes)
    this.#giveUpIfLong()
  }

  /** The bytes may be changed afterwards. */
  data (bytes: Uint8Array): void {
    this.#fileBytes += bytes.length
    this.#newBytes += bytes.length
    if (this.#newBytes > NEW_BYTES_MAX) this.#builder = undefined
    this.#builder?.push(bytes)
    this.#giveUpIfLong()
  }

  /** Undefined where it could not be followed. */
  finish (): Uint8Array<ArrayBuffer> | undefined {
    return averageBitsFor(this.#fileBytes) === this.#old.averageBits ? this.#builder?.finish() : undefined
  }

  #giveUpIfLong (): void {
    if (this.#builder !== undefined && this.#builder.sizeBytes > this.#mostBytes) this.#builder = undefined
  }
}

/** Most differences are small, and a finder takes a mebibyte. */
function lazily (create: () => CutFinder): CutFinder {
  let made: CutFinder | undefined
  const find = (): CutFinder => {
    const found = create()
    // Another file may have been given up in the middle of a chunk.
    found.restart()
    return found
  }
  return {
    push: bytes => (made ??= find()).push(bytes),
    restart: () => { made?.restart() },
  }
}
