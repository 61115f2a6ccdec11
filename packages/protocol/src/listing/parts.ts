import { FileSyncError } from '../errors.ts'

/** Number (u32), length of the whole (u32), offset of this part (u32), length of this part (u32); big-endian. */
export const PART_HEADER_BYTES = 16

/** A numbered whole that travels in parts: a listing by its number in the session, or a signature by its task. */
export interface NumberedBlob {
  readonly number: number
  readonly bytes: Uint8Array
}

/**
 * Fills frames of at most `payloadBytes` with wholes: several in one where they are small, one over several where large.
 *
 * @param payloadBytes more than PART_HEADER_BYTES, or nothing would ever fit
 */
export function * encodeParts (wholes: Iterable<NumberedBlob>, payloadBytes: number): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  if (payloadBytes <= PART_HEADER_BYTES) throw new RangeError(`Parts do not fit into frames of ${String(payloadBytes)} bytes.`)
  let payload = new Uint8Array(payloadBytes)
  let at = 0
  for (const { number, bytes } of wholes) {
    let offset = 0
    do {
      if (payloadBytes - at <= PART_HEADER_BYTES) {
        yield payload.subarray(0, at)
        payload = new Uint8Array(payloadBytes)
        at = 0
      }
      const length = Math.min(bytes.length - offset, payloadBytes - at - PART_HEADER_BYTES)
      const view = new DataView(payload.buffer, at, PART_HEADER_BYTES)
      view.setUint32(0, number)
      view.setUint32(4, bytes.length)
      view.setUint32(8, offset)
      view.setUint32(12, length)
      payload.set(bytes.subarray(offset, offset + length), at + PART_HEADER_BYTES)
      at += PART_HEADER_BYTES + length
      offset += length
    } while (offset < bytes.length)
  }
  if (at > 0) yield payload.subarray(0, at)
}

/**
 * Puts wholes together again. Parts of one whole come one behind the other; what a whole claims to be long is bounded
 * before memory is taken, and the memory taken is at most twice what has arrived, however small the parts are.
 */
export class PartsDecoder {
  readonly #maxBytes: number
  #number = 0
  #totalBytes = 0
  #whole: Uint8Array<ArrayBuffer> | undefined
  #filled = 0

  /** @param maxBytes limit of one whole */
  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether the last whole has all its parts. */
  get isComplete (): boolean {
    return this.#whole === undefined
  }

  /** The wholes that this payload completes. Throws FRAME_MALFORMED or LIMIT_EXCEEDED. */
  * push (payload: Uint8Array): Generator<NumberedBlob, void, undefined> {
    let at = 0
    while (at < payload.length) {
      if (payload.length - at < PART_HEADER_BYTES) throw malformed('a part header is truncated')
      const view = new DataView(payload.buffer, payload.byteOffset + at, PART_HEADER_BYTES)
      const length = view.getUint32(12)
      this.#begin(view)
      at += PART_HEADER_BYTES
      if (length > payload.length - at || length > this.#totalBytes - this.#filled) throw malformed('a part is longer than its whole')
      if (length === 0 && this.#totalBytes > 0) throw malformed('a part is empty')
      this.#append(payload.subarray(at, at + length))
      at += length
      if (this.#filled === this.#totalBytes) yield this.#finish()
    }
  }

  #begin (view: DataView): void {
    const number = view.getUint32(0)
    const totalBytes = view.getUint32(4)
    const offset = view.getUint32(8)
    if (this.#whole === undefined) {
      if (totalBytes > this.#maxBytes) {
        throw new FileSyncError('LIMIT_EXCEEDED', `A listing or signature of ${String(totalBytes)} bytes exceeds the limit of ${String(this.#maxBytes)}.`)
      }
      this.#number = number
      this.#totalBytes = totalBytes
      this.#whole = NO_BYTES
      this.#filled = 0
    }
    if (number !== this.#number || totalBytes !== this.#totalBytes || offset !== this.#filled) {
      throw malformed('the parts are not consecutive')
    }
  }

  #append (part: Uint8Array): void {
    const needed = this.#filled + part.length
    let whole = this.#whole ?? NO_BYTES
    if (whole.length < needed) {
      const grown = new Uint8Array(Math.min(this.#totalBytes, Math.max(needed, whole.length * 2)))
      grown.set(whole.subarray(0, this.#filled))
      whole = grown
    }
    whole.set(part, this.#filled)
    this.#whole = whole
    this.#filled = needed
  }

  #finish (): NumberedBlob {
    const bytes = this.#whole ?? NO_BYTES
    this.#whole = undefined
    // The buffer never grows beyond the whole, so by now it has exactly its length.
    return { number: this.#number, bytes }
  }
}

const NO_BYTES = new Uint8Array(0)

function malformed (why: string): FileSyncError {
  return new FileSyncError('FRAME_MALFORMED', `Invalid parts in a frame: ${why}.`)
}
