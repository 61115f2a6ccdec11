import type { HashBytes } from '@filesync/protocol'
import type { CutFinder } from './gear.ts'
import { averageBitsFor, Signature, SignatureBuilder } from './signature.ts'

/** If more of a file is new, its signature is not derived but made by reading it when it is next needed. */
const NEW_BYTES_MAX = 64 << 20
/** A signature may exceed twice the old one by this. No honest delta comes near; one of tiny operations would fill the memory. */
const SPARE_BYTES = 1 << 20

export interface DerivedSignatureInit {
  /** Signature of the old file. */
  readonly signature: Uint8Array
  /** May return the same finder again: one signature is derived at a time. */
  readonly createCutFinder: (averageBits: number) => CutFinder
  readonly hash: HashBytes
}

/**
 * Derives the signature of a new file from that of the old one and the operations of the delta: copied chunks have their
 * records already, and only new bytes are chunked and hashed. Equals the signature of the new file if the sender cut it into
 * chunks like `DeltaEncoder`. Whatever the sender does, each record matches its bytes, as far as the old signature did.
 */
export class DerivedSignature {
  readonly #old: Signature
  readonly #maxBytes: number
  /** Undefined after it was given up. */
  #builder: SignatureBuilder | undefined
  #fileBytes = 0
  #newBytes = 0

  constructor ({ signature, createCutFinder, hash }: DerivedSignatureInit) {
    const old = this.#old = new Signature(signature)
    this.#maxBytes = 2 * signature.length + SPARE_BYTES
    const cuts = lazyCutFinder(() => createCutFinder(old.averageBits))
    this.#builder = new SignatureBuilder({ averageBits: old.averageBits, cuts, hash })
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

  /** Undefined if it could not be derived. */
  finish (): Uint8Array<ArrayBuffer> | undefined {
    return averageBitsFor(this.#fileBytes) === this.#old.averageBits ? this.#builder?.finish() : undefined
  }

  #giveUpIfLong (): void {
    if (this.#builder !== undefined && this.#builder.sizeBytes > this.#maxBytes) this.#builder = undefined
  }
}

/** Created on use: most deltas are small, and a finder takes a mebibyte. */
function lazyCutFinder (create: () => CutFinder): CutFinder {
  let made: CutFinder | undefined
  const find = (): CutFinder => {
    const found = create()
    // The file before may have been given up in the middle of a chunk.
    found.restart()
    return found
  }
  return {
    push: bytes => (made ??= find()).push(bytes),
    restart: () => { made?.restart() },
  }
}
