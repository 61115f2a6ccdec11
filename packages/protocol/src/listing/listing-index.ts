import type { Entry } from './entry.ts'
import { readEntry } from './listing.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'

/** Entries between two remembered places: going to one skips at most so many, and a million cost 64 KiB. */
const STRIDE = 64

/**
 * Finds entries of an encoded listing by their place, without keeping the listing decoded: a directory of a million files
 * would take hundreds of megabytes. Going forward from the last one found costs nothing more than decoding.
 */
export class ListingIndex {
  readonly #count: number
  readonly #offsets: Uint32Array
  #nextIndex = 0
  #nextOffset: number

  /** Looks over the whole listing once. Throws LISTING_INVALID. */
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

  /** The entry at a place, or undefined where there is none; `bytes` are those of the constructor. */
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
