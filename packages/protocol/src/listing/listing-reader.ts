import type { Entry } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { FILE } from '../encoding/listing-kinds.ts'
import { MAX_MODE, outOfOrder, readEntry } from './listing.ts'
import { MsgpackReader, textHeaderBytes } from '../encoding/msgpack-reader.ts'
import { compareNames, isPlainName } from './name.ts'
import type { Name } from './name.ts'

/** An array of six, which only the entry of a file is. */
const FILE_HEADER = 0x96
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

/** Takes the entries of a listing one by one, or passes over files of which only the size is asked, and over what another listing has too. */
export class ListingReader {
  /** Place of the last entry; -1 before the first. */
  index = -1
  readonly #bytes: Uint8Array
  readonly #reader: MsgpackReader
  readonly #count: number
  /** Where the last entry starts. */
  #lastStart = 0
  /** Its name, where it was decoded. */
  #lastDecoded: Name | undefined
  /** Whether it stands in the other listing of `skipEqual` too, as the last one there. */
  #isInStep = true

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
      if (this.#reader.remainingBytes > 0) throw new FileSyncError('LISTING_INVALID', 'A listing has bytes after its last entry.')
      return undefined
    }
    const previous = this.#lastName()
    const start = this.#reader.offset
    const entry = readEntry(this.#reader)
    if (previous !== undefined && compareNames(previous, entry.name) >= 0) throw outOfOrder(entry.name)
    this.#take(start, entry.name)
    return entry
  }

  /**
   * Passes over the next entry where that is a file with a plain name, without decoding it, and returns its size in bytes.
   * Undefined where it is anything else or there is none: `next` takes that. Refuses what `next` refuses.
   */
  skipFile (): number | undefined {
    const reader = this.#reader
    const start = reader.offset
    if (this.#isDone || this.#bytes[start] !== FILE_HEADER) return undefined
    reader.offset = start + 1
    const length = reader.skipStr()
    const nameStart = reader.offset - length
    if (!isPlainName(this.#bytes, nameStart, reader.offset) || this.#bytes[reader.offset] !== FILE || !this.#isBehindLast(nameStart, length)) {
      reader.offset = start
      return undefined
    }
    reader.offset++
    reader.skipInt64()
    const mode = reader.uint()
    const sizeBytes = reader.uint()
    reader.skipUint64()
    if (mode > MAX_MODE || sizeBytes > LIMITS.fileBytes) {
      reader.offset = start
      return undefined
    }
    this.#take(start, undefined)
    return sizeBytes
  }

  /**
   * Passes over the entries that stand next in both listings, byte for byte the same: far cheaper than decoding them twice.
   *
   * @param valid a listing that is in canonical form, so that what equals its entries is too
   */
  skipEqual (valid: ListingReader): void {
    while (!this.#isDone && !valid.#isDone) {
      const start = valid.#reader.offset
      valid.#reader.skipArray()
      if (!this.#startsWith(valid.#bytes, start, valid.#reader.offset)) {
        valid.#reader.offset = start
        return
      }
      const at = this.#reader.offset
      // Where the last entry of the two is not the same one, the order of the valid listing says nothing of this one.
      if (this.#isInStep) this.#take(at, undefined)
      else this.next()
      this.#isInStep = true
      this.#reader.offset = at + valid.#reader.offset - start
      valid.#take(start, undefined)
    }
  }

  #take (start: number, name: Name | undefined): void {
    this.index++
    this.#lastStart = start
    this.#lastDecoded = name
    this.#isInStep = false
  }

  get #isDone (): boolean {
    return this.index + 1 >= this.#count
  }

  #lastName (): Name | undefined {
    if (this.index < 0 || this.#lastDecoded !== undefined) return this.#lastDecoded
    const reader = new MsgpackReader(this.#bytes, this.#lastStart)
    reader.array()
    return reader.str() as Name
  }

  /** Whether a name that stands in the bytes comes behind that of the last entry. */
  #isBehindLast (start: number, length: number): boolean {
    if (this.index < 0) return true
    const bytes = this.#bytes
    const lastStart = this.#lastStart + 1 + textHeaderBytes(bytes[this.#lastStart + 1] ?? 0)
    // The last name ends where its kind is, which is below every letter of a plain name.
    for (let i = 0; i < length; i++) {
      const difference = (bytes[start + i] ?? 0) - (bytes[lastStart + i] ?? 0)
      if (difference !== 0) return difference > 0
    }
    return false
  }

  #startsWith (bytes: Uint8Array, start: number, end: number): boolean {
    const at = this.#reader.offset
    if (end - start > this.#reader.remainingBytes) return false
    for (let i = start; i < end; i++) if (bytes[i] !== this.#bytes[at + i - start]) return false
    return true
  }
}
