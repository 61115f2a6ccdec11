import { FileSyncError } from '../errors.ts'

/** Number (u32), length of the blob (u32), offset of this part (u32), length of this part (u32); big-endian. */
export const PART_HEADER_BYTES = 16

/** Bytes that are sent in parts: a listing with its number in the session, or a signature with the number of its task. */
export interface NumberedBlob {
  readonly number: number
  readonly bytes: Uint8Array
}

/**
 * Packs blobs into frame payloads of at most `payloadBytes`: small ones share a frame, large ones span several.
 *
 * @param payloadBytes greater than PART_HEADER_BYTES
 */
export function * encodeParts (blobs: Iterable<NumberedBlob>, payloadBytes: number): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  if (payloadBytes <= PART_HEADER_BYTES) throw new RangeError(`Parts do not fit into frames of ${String(payloadBytes)} bytes.`)
  let payload = new Uint8Array(payloadBytes)
  let at = 0
  for (const { number, bytes } of blobs) {
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
 * Reassembles blobs. The parts of one blob are consecutive. The claimed length is checked before memory is allocated, and the
 * allocated memory is at most twice what has arrived, however small the parts are.
 */
export class PartsDecoder {
  readonly #maxBytes: number
  #number = 0
  #totalBytes = 0
  #blob: Uint8Array<ArrayBuffer> | undefined
  #filled = 0

  /** @param maxBytes limit of one blob */
  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether all parts of the last blob have arrived. */
  get isComplete (): boolean {
    return this.#blob === undefined
  }

  /** The blobs that this payload completes. Throws FRAME_MALFORMED or LIMIT_EXCEEDED. */
  * push (payload: Uint8Array): Generator<NumberedBlob, void, undefined> {
    let at = 0
    while (at < payload.length) {
      if (payload.length - at < PART_HEADER_BYTES) throw malformed('a part header is truncated')
      const view = new DataView(payload.buffer, payload.byteOffset + at, PART_HEADER_BYTES)
      const length = view.getUint32(12)
      this.#begin(view)
      at += PART_HEADER_BYTES
      if (length > payload.length - at || length > this.#totalBytes - this.#filled) throw malformed('a part is too long')
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
    if (this.#blob === undefined) {
      if (totalBytes > this.#maxBytes) {
        const limit = String(this.#maxBytes)
        throw new FileSyncError('LIMIT_EXCEEDED', `A listing or signature of ${String(totalBytes)} bytes exceeds the limit of ${limit}.`)
      }
      this.#number = number
      this.#totalBytes = totalBytes
      this.#blob = NO_BYTES
      this.#filled = 0
    }
    if (number !== this.#number || totalBytes !== this.#totalBytes || offset !== this.#filled) {
      throw malformed('the parts are not consecutive')
    }
  }

  #append (part: Uint8Array): void {
    const needed = this.#filled + part.length
    let blob = this.#blob ?? NO_BYTES
    if (blob.length < needed) {
      const grown = new Uint8Array(Math.min(this.#totalBytes, Math.max(needed, blob.length * 2)))
      grown.set(blob.subarray(0, this.#filled))
      blob = grown
    }
    blob.set(part, this.#filled)
    this.#blob = blob
    this.#filled = needed
  }

  #finish (): NumberedBlob {
    const bytes = this.#blob ?? NO_BYTES
    this.#blob = undefined
    // The buffer never grows beyond the blob, so it now has exactly its length.
    return { number: this.#number, bytes }
  }
}

const NO_BYTES = new Uint8Array(0)

function malformed (why: string): FileSyncError {
  return new FileSyncError('FRAME_MALFORMED', `Invalid parts in a frame: ${why}.`)
}
