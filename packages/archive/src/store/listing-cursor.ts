import { ENTRY_KINDS, textHeaderBytes } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

export type EntryKindNumber = typeof ENTRY_KINDS[keyof typeof ENTRY_KINDS]

// A name may begin with the character that elsewhere is a byte order mark.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const ARRAY16 = 0xdc
const ARRAY32 = 0xdd
const NOTHING = new Uint8Array(0)

/**
 * Walks the entries of an encoded listing without decoding them, so that merging and cutting listings of a million entries only copies
 * bytes. The listing must have been validated by `readListing`: nothing is checked here.
 */
export class ListingCursor {
  readonly bytes: Uint8Array
  readonly count: number
  #opened: DataView | undefined
  /** Position of the current entry; -1 before the first `next`. */
  index = -1
  /** The byte range of the current entry. */
  start: number
  end: number
  nameStart = 0
  nameEnd = 0
  kind: EntryKindNumber = ENTRY_KINDS.file

  constructor (bytes: Uint8Array) {
    this.bytes = bytes
    const tag = bytes[0] ?? 0x90
    this.count = tag === ARRAY32 ? uint(bytes, 1, 4) : tag === ARRAY16 ? uint(bytes, 1, 2) : tag & 0x0f
    this.start = this.end = tag === ARRAY32 ? 5 : tag === ARRAY16 ? 3 : Math.min(1, bytes.length)
  }

  get isDone (): boolean {
    return this.index >= this.count
  }

  /** Moves to the next entry; false after the last one. */
  next (): boolean {
    this.index++
    if (this.index >= this.count) {
      this.index = this.count
      return false
    }
    this.start = this.end
    const fields = (this.bytes[this.start] ?? 0) & 0x0f
    this.nameStart = this.start + 1 + textHeaderBytes(this.bytes[this.start + 1] ?? 0)
    this.nameEnd = skip(this.bytes, this.start + 1)
    this.kind = (this.bytes[this.nameEnd] ?? 0) as EntryKindNumber
    let at = this.nameEnd + 1
    for (let field = 2; field < fields; field++) at = skip(this.bytes, at)
    this.end = at
    return true
  }

  name (): Name {
    return decoder.decode(this.bytes.subarray(this.nameStart, this.nameEnd)) as Name
  }

  isNamed (name: Uint8Array): boolean {
    if (this.nameEnd - this.nameStart !== name.length) return false
    for (let i = 0; i < name.length; i++) if (this.bytes[this.nameStart + i] !== name[i]) return false
    return true
  }

  mtimeNs (): bigint {
    const view = this.#view()
    const at = this.nameEnd + 1
    const tag = this.bytes[at] ?? 0
    if (tag === 0xcf) return view.getBigUint64(at + 1)
    // Times before 1970, and the first seconds after it.
    if (tag === 0xd3) return view.getBigInt64(at + 1)
    if (tag === 0xd2) return BigInt(view.getInt32(at + 1))
    if (tag === 0xd1) return BigInt(view.getInt16(at + 1))
    if (tag === 0xd0 || tag >= 0xe0) return BigInt(view.getInt8(tag === 0xd0 ? at + 1 : at))
    return BigInt(uintAt(this.bytes, at))
  }

  /** Only for files and directories. */
  mode (): number {
    return uintAt(this.bytes, skip(this.bytes, this.nameEnd + 1))
  }

  /** Only for files. */
  sizeBytes (): number {
    return uintAt(this.bytes, this.#sizeAt())
  }

  /** Only for files. */
  fileId (): bigint {
    const at = skip(this.bytes, this.#sizeAt())
    return this.bytes[at] === 0xcf ? this.#view().getBigUint64(at + 1) : BigInt(uintAt(this.bytes, at))
  }

  /** The low 53 bits of the file id, which tell most ids apart without a bigint for each. Only for files. */
  fileIdBits (): number {
    const at = skip(this.bytes, this.#sizeAt())
    if (this.bytes[at] !== 0xcf) return uintAt(this.bytes, at)
    return (uint(this.bytes, at + 1, 4) & 0x1f_ffff) * 0x1_0000_0000 + uint(this.bytes, at + 5, 4)
  }

  /** Only for links: the encoded target. */
  targetBytes (): Uint8Array {
    return this.bytes.subarray(skip(this.bytes, this.nameEnd + 1), this.end)
  }

  #sizeAt (): number {
    return skip(this.bytes, skip(this.bytes, this.nameEnd + 1))
  }

  #view (): DataView {
    return this.#opened ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  }
}

/** Canonical order of the names at two cursors; a cursor past its last entry comes after all names. */
export function compareCursors (left: ListingCursor, right: ListingCursor): number {
  if (left.isDone || right.isDone) return Number(left.isDone) - Number(right.isDone)
  const leftLength = left.nameEnd - left.nameStart
  const rightLength = right.nameEnd - right.nameStart
  const length = Math.min(leftLength, rightLength)
  for (let i = 0; i < length; i++) {
    const difference = (left.bytes[left.nameStart + i] ?? 0) - (right.bytes[right.nameStart + i] ?? 0)
    if (difference !== 0) return difference
  }
  return leftLength - rightLength
}

/** The bytes of the name at a cursor. */
export function nameOf ({ bytes, nameStart, nameEnd }: ListingCursor): Uint8Array {
  return bytes.subarray(nameStart, nameEnd)
}

/** Canonical order of two names. */
export function compareBytes (left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** A cursor at the entry that starts at a byte offset of a listing. */
export function entryAt (listing: Uint8Array, start: number): ListingCursor {
  const cursor = new ListingCursor(listing)
  cursor.end = start
  cursor.next()
  return cursor
}

/** The size of the file whose entry starts at a byte offset of a listing; faster than a cursor. */
export function fileSizeAt (listing: Uint8Array, start: number): number {
  // The name is followed by kind, mtime and mode.
  const kind = skip(listing, start + 1)
  return uintAt(listing, skip(listing, skip(listing, kind + 1)))
}

function uintAt (bytes: Uint8Array, at: number): number {
  const tag = bytes[at] ?? 0
  return tag < 0x80 ? tag : uint(bytes, at + 1, 1 << (tag - 0xcc))
}

/** The byte offset of each entry of a listing, and at the end that of the end of the last one. */
export function entryOffsets (listing: Uint8Array): Uint32Array {
  const cursor = new ListingCursor(listing)
  const offsets = new Uint32Array(cursor.count + 1)
  while (cursor.next()) offsets[cursor.index] = cursor.start
  offsets[cursor.count] = cursor.end
  return offsets
}

function headerBytes (count: number): number {
  return count < 16 ? 1 : count < 0x10000 ? 3 : 5
}

/** Writes the header of a listing of `count` entries in canonical form. */
function writeHeader (bytes: Uint8Array, count: number): void {
  const length = headerBytes(count)
  bytes[0] = length === 1 ? 0x90 | count : length === 3 ? ARRAY16 : ARRAY32
  for (let at = 1; at < length; at++) bytes[at] = count >>> 8 * (length - 1 - at)
}

/** Number of files in a listing. */
export function countFiles (listing: Uint8Array): number {
  let files = 0
  for (const cursor = new ListingCursor(listing); cursor.next();) if (cursor.kind === ENTRY_KINDS.file) files++
  return files
}

/** Ranges of bytes to be copied one after the other. */
export class ByteRanges {
  /** The last range. There are very many of these objects, and most have one range only. */
  #buffer: ArrayBufferLike = NOTHING.buffer
  #start = 0
  #end = 0
  /** The ranges before it. */
  #earlier: Uint8Array[] | undefined
  #sizeBytes = 0

  get sizeBytes (): number {
    return this.#sizeBytes
  }

  /** Adds bytes from `start` up to, but without, `end`. */
  add (bytes: Uint8Array, start: number, end: number): void {
    this.#sizeBytes += end - start
    const { buffer } = bytes
    const from = bytes.byteOffset + start
    // Adjacent ranges of one buffer become one, so a listing that hardly changed takes a handful of copies.
    if (this.#buffer !== buffer || this.#end !== from) {
      if (this.#end > this.#start) (this.#earlier ??= []).push(this.#last)
      this.#buffer = buffer
      this.#start = from
    }
    this.#end = bytes.byteOffset + end
  }

  copyTo (target: Uint8Array, at: number): void {
    for (const range of this.#earlier ?? []) {
      target.set(range, at)
      at += range.length
    }
    if (this.#end > this.#start) target.set(this.#last, at)
  }

  get #last (): Uint8Array {
    return new Uint8Array(this.#buffer, this.#start, this.#end - this.#start)
  }
}

/** Collects byte ranges of encoded entries, in name order, into one listing. */
export class ListingBuilder {
  readonly #entries = new ByteRanges()
  #count = 0

  /** Number of entries so far. */
  get count (): number {
    return this.#count
  }

  /** Size of the listing so far. */
  get sizeBytes (): number {
    return headerBytes(this.#count) + this.#entries.sizeBytes
  }

  add (entry: Uint8Array): void {
    this.addRange(entry, 0, entry.length)
  }

  /** Adds the entry from `start` up to, but without, `end`. */
  addRange (bytes: Uint8Array, start: number, end: number): void {
    this.#count++
    this.#entries.add(bytes, start, end)
  }

  /** @param bytes receives the listing; its length must be `sizeBytes` */
  finish (bytes: Uint8Array = new Uint8Array(this.sizeBytes)): Uint8Array {
    writeHeader(bytes, this.#count)
    this.#entries.copyTo(bytes, headerBytes(this.#count))
    return bytes
  }
}

function uint (bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}

/** The end of the MessagePack item at `at`; only types that occur in listings. */
function skip (bytes: Uint8Array, at: number): number {
  const tag = bytes[at] ?? 0
  if (tag < 0x80 || tag >= 0xe0) return at + 1
  if (tag < 0xc0) return at + 1 + (tag & 0x1f)
  switch (tag) {
    case 0xc4: case 0xd9: return at + 2 + (bytes[at + 1] ?? 0)
    case 0xda: return at + 3 + uint(bytes, at + 1, 2)
    case 0xcc: case 0xd0: return at + 2
    case 0xcd: case 0xd1: return at + 3
    case 0xce: case 0xd2: return at + 5
    default: return at + 9
  }
}
