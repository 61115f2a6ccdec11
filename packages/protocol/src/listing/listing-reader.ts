import type { Entry } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { FILE } from '../encoding/listing-kinds.ts'
import { MAX_MODE, outOfOrder, readEntry } from './listing.ts'
import { MsgpackReader, textHeaderBytes } from '../encoding/msgpack-reader.ts'
import { compareNames, isPlainName } from './name.ts'
import type { Name } from './name.ts'

/** The header of an array of six, which only the entry of a file has. */
const FILE_HEADER = 0x96
/** The shortest entry: array header, one-letter name, kind, and two numbers. */
const MIN_ENTRY_BYTES = 6

/** The entries of a listing in order. Throws LISTING_INVALID or NAME_INVALID for anything not in canonical form. */
export function decodeListing (bytes: Uint8Array): Entry[] {
  const entries: Entry[] = []
  for (const entry of readListing(bytes)) entries.push(entry)
  return entries
}

/** As {@link decodeListing}, one entry at a time, so that a large directory is never completely in memory. */
export function * readListing (bytes: Uint8Array): Generator<Entry, void, undefined> {
  const reader = new ListingReader(bytes)
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) yield entry
}

/**
 * Reads the entries of a listing one by one. Skips files without decoding them if only their size is needed, and entries that
 * are the same in another listing.
 */
export class ListingReader {
  /** Index of the last entry; -1 before the first. */
  index = -1
  readonly #bytes: Uint8Array
  readonly #reader: MsgpackReader
  readonly #count: number
  /** Where the last entry starts. */
  #lastStart = 0
  /** Its name, if it was decoded. */
  #lastDecoded: Name | undefined
  /** Whether it is also the last entry of the other listing of `skipEqual`. */
  #isInStep = true

  /** Throws LISTING_INVALID if the listing claims more entries than it can contain. */
  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#reader = new MsgpackReader(bytes)
    this.#count = this.#reader.array()
    if (this.#count > LIMITS.listingEntries || this.#count * MIN_ENTRY_BYTES > this.#reader.remainingBytes) {
      throw new FileSyncError('LISTING_INVALID', `A listing claims ${String(this.#count)} entries, more than it can hold.`)
    }
  }

  /** The next entry; undefined after the last. Throws LISTING_INVALID or NAME_INVALID for anything not in canonical form. */
  next (): Entry | undefined {
    if (this.#isDone) {
      if (this.#reader.remainingBytes > 0) throw new FileSyncError('LISTING_INVALID', 'A listing has bytes after its last entry.')
      return undefined
    }
    const previous = this.#lastName()
    const start = this.#reader.offset
    const entry = readEntry(this.#reader)
    if (previous !== undefined && compareNames(previous, entry.name) >= 0) throw outOfOrder(entry.name)
    this.#advance(start, entry.name)
    return entry
  }

  /**
   * Skips the next entry if it is a file with a plain name, without decoding it, and returns its size in bytes. Returns undefined
   * for anything else, which `next` then reads. Rejects what `next` rejects.
   */
  skipFile (): number | undefined {
    const reader = this.#reader
    const start = reader.offset
    if (this.#isDone || this.#bytes[start] !== FILE_HEADER) return undefined
    reader.offset = start + 1
    const length = reader.skipStr()
    const nameStart = reader.offset - length
    const isPlainFile = isPlainName(this.#bytes, nameStart, reader.offset) && this.#bytes[reader.offset] === FILE
    if (!isPlainFile || !this.#isAfterLast(nameStart, length)) {
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
    this.#advance(start, undefined)
    return sizeBytes
  }

  /**
   * Skips the next entries as long as they are the same in both listings, byte for byte: far cheaper than decoding them twice.
   *
   * @param valid a listing that is known to be canonical, so that equal entries are canonical too
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
      // If the last entries of the two differ, the order of the valid listing does not prove that of this one.
      if (this.#isInStep) this.#advance(at, undefined)
      else this.next()
      this.#isInStep = true
      this.#reader.offset = at + valid.#reader.offset - start
      valid.#advance(start, undefined)
    }
  }

  #advance (start: number, name: Name | undefined): void {
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

  /** Whether an encoded name comes after that of the last entry. */
  #isAfterLast (start: number, length: number): boolean {
    if (this.index < 0) return true
    const bytes = this.#bytes
    const lastStart = this.#lastStart + 1 + textHeaderBytes(bytes[this.#lastStart + 1] ?? 0)
    // The last name is followed by its kind, which is below every character of a plain name.
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
