import type { Entry } from './entry.ts'
import { readEntry } from './listing.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'

/** Entries between two recorded offsets: a lookup skips at most so many, and a million entries cost 64 KiB. */
const STRIDE = 64

/**
 * Finds entries of an encoded listing by index without decoding all of it: a decoded directory of a million files would take
 * hundreds of megabytes. Reading on from the last entry costs no more than decoding it.
 */
export class ListingIndex {
  readonly #count: number
  readonly #offsets: Uint32Array
  #nextIndex = 0
  #nextOffset: number

  /** Scans the whole listing once. Throws LISTING_INVALID. */
  constructor (bytes: Uint8Array) {
    const reader = new MsgpackReader(bytes)
    this.#count = reader.array()
    this.#nextOffset = reader.offset
    const offsets: number[] = []
    for (let i = 0; i < this.#count; i++) {
      if (i % STRIDE === 0) offsets.push(reader.offset)
      reader.skipArray()
    }
    this.#offsets = Uint32Array.from(offsets)
  }

  /** The entry at an index, or undefined; `bytes` are those of the constructor. */
  entry (bytes: Uint8Array, index: number): Entry | undefined {
    if (index >= this.#count) return undefined
    const isAhead = index >= this.#nextIndex && index - this.#nextIndex < STRIDE
    const reader = new MsgpackReader(bytes, isAhead ? this.#nextOffset : this.#offsets[Math.floor(index / STRIDE)])
    for (let i = isAhead ? this.#nextIndex : index - index % STRIDE; i < index; i++) reader.skipArray()
    const entry = readEntry(reader)
    this.#nextIndex = index + 1
    this.#nextOffset = reader.offset
    return entry
  }
}
