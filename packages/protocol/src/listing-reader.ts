import type { Entry } from './entry.ts'
import { FileSyncError } from './errors.ts'
import { LIMITS } from './limits.ts'
import { outOfOrder, readEntry } from './listing.ts'
import { MsgpackReader } from './msgpack-reader.ts'
import { compareNames } from './name.ts'
import type { Name } from './name.ts'

/** The shortest entry: array header, one-letter name, kind, and two numbers. */
const MIN_ENTRY_BYTES = 6

/** The entries of a listing in order. Throws LISTING_INVALID or NAME_INVALID for anything not in canonical form. */
export function decodeListing (bytes: Uint8Array): Entry[] {
  const entries: Entry[] = []
  for (const entry of readListing(bytes)) entries.push(entry)
  return entries
}

/** As {@link decodeListing}, one entry at a time, so that a large directory is never decoded as a whole. */
export function * readListing (bytes: Uint8Array): Generator<Entry, void, undefined> {
  const reader = new ListingReader(bytes)
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) yield entry
}

/** Takes the entries of a listing one by one, or passes over those that another listing has too. */
export class ListingReader {
  /** Place of the last entry; -1 before the first. */
  index = -1
  readonly #bytes: Uint8Array
  readonly #reader: MsgpackReader
  readonly #count: number
  /** Of the last entry: its name where it was decoded, or where it starts. */
  #last: Name | number | undefined

  /** Throws LISTING_INVALID where the listing claims more entries than it can hold. */
  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#reader = new MsgpackReader(bytes)
    this.#count = this.#reader.array()
    if (this.#count > LIMITS.listingEntries || this.#count * MIN_ENTRY_BYTES > this.#reader.remainingBytes) {
      throw new FileSyncError('LISTING_INVALID', `A listing claims ${String(this.#count)} entries, more than it can hold.`)
    }
  }

  /** The next entry; undefined behind the last. Throws LISTING_INVALID or NAME_INVALID for anything not in canonical form. */
  next (): Entry | undefined {
    if (this.#isDone) {
      if (this.#reader.remainingBytes > 0) throw new FileSyncError('LISTING_INVALID', 'A listing has bytes behind its last entry.')
      return undefined
    }
    const previous = this.#lastName()
    const entry = readEntry(this.#reader)
    if (previous !== undefined && compareNames(previous, entry.name) >= 0) throw outOfOrder(entry.name)
    this.#last = entry.name
    this.index++
    return entry
  }

  /**
   * Passes over the entries that stand next in both listings, byte for byte the same: far cheaper than decoding them twice.
   *
   * @param valid a listing that is in canonical form, so that what equals its entries is too
   */
  passEqual (valid: ListingReader): void {
    while (!this.#isDone && !valid.#isDone) {
      const start = valid.#reader.offset
      valid.#reader.skipArray()
      if (!this.#startsWith(valid.#bytes, start, valid.#reader.offset)) {
        valid.#reader.offset = start
        return
      }
      const at = this.#reader.offset
      // Where the last entry of the two is not the same one, the order of the valid listing says nothing of this one.
      if (typeof this.#last === 'string') this.next()
      else this.index++
      this.#last = at
      this.#reader.offset = at + valid.#reader.offset - start
      valid.#last = start
      valid.index++
    }
  }

  get #isDone (): boolean {
    return this.index + 1 >= this.#count
  }

  #lastName (): Name | undefined {
    if (typeof this.#last !== 'number') return this.#last
    const reader = new MsgpackReader(this.#bytes, this.#last)
    reader.array()
    return reader.str() as Name
  }

  #startsWith (bytes: Uint8Array, start: number, end: number): boolean {
    const at = this.#reader.offset
    if (end - start > this.#reader.remainingBytes) return false
    for (let i = start; i < end; i++) if (bytes[i] !== this.#bytes[at + i - start]) return false
    return true
  }
}
