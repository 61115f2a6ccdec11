import { FileSyncError } from '../errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const SHORT_TEXT_BYTES = 48

function fault (why: string): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `A listing is not in canonical form: ${why}.`)
}

/** Length of the header of a text value with this tag. Only for a tag that is known to be of text. */
export function textHeaderBytes (tag: number): number {
  return tag < 0xc0 ? 1 : tag === 0xd9 ? 2 : 3
}

/** Reads what MsgpackWriter writes, and throws LISTING_INVALID for any other encoding of the same values. */
export class MsgpackReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at: number

  /** @param at where to start */
  constructor (bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = at
  }

  /** Offset of the next value. */
  get offset (): number {
    return this.#at
  }

  set offset (at: number) {
    this.#at = at
  }

  get remainingBytes (): number {
    return this.#bytes.length - this.#at
  }

  array (): number {
    const tag = this.#byte()
    if (tag >= 0x90 && tag <= 0x9f) return tag & 0x0f
    if (tag === 0xdc) return this.#atLeast(this.#uint16(), 16)
    if (tag === 0xdd) return this.#atLeast(this.#uint32(), 0x10000)
    throw fault('an array was expected')
  }

  /** An integer from 0 to 2^53 - 1. */
  uint (): number {
    const tag = this.#byte()
    if (tag < 0x80) return tag
    if (tag === 0xcc) return this.#atLeast(this.#byte(), 0x80)
    if (tag === 0xcd) return this.#atLeast(this.#uint16(), 0x100)
    if (tag === 0xce) return this.#atLeast(this.#uint32(), 0x10000)
    if (tag === 0xcf) {
      const high = this.#uint32()
      const value = this.#atLeast(high, 1) * 0x1_0000_0000 + this.#uint32()
      if (!Number.isSafeInteger(value)) throw fault('a number is too large')
      return value
    }
    throw fault('a number from 0 was expected')
  }

  /** An integer from -2^63 to 2^63 - 1. */
  int64 (): bigint {
    const tag = this.#bytes[this.#at]
    if (tag === 0xcf) {
      this.#skipPositive64()
      return this.#view.getBigUint64(this.#at - 8)
    }
    if (tag === undefined || tag < 0xd0) return BigInt(this.uint())
    return this.#negative()
  }

  /** An integer from 0 to 2^64 - 1. */
  uint64 (): bigint {
    if (this.#bytes[this.#at] !== 0xcf) return BigInt(this.uint())
    this.#skipUint64()
    return this.#view.getBigUint64(this.#at - 8)
  }

  /** Validates and skips an int64 without creating a bigint, which costs more than the rest of an entry. */
  skipInt64 (): void {
    if (this.#bytes[this.#at] === 0xcf) this.#skipPositive64()
    else this.int64()
  }

  /** As {@link skipInt64}, for a uint64. */
  skipUint64 (): void {
    if (this.#bytes[this.#at] === 0xcf) this.#skipUint64()
    else this.uint()
  }

  /** Skips text, unvalidated, and returns its length in bytes. */
  skipStr (): number {
    const length = this.#textLength()
    this.#skipBytes(length)
    return length
  }

  str (): string {
    const length = this.#textLength()
    this.#skipBytes(length)
    return this.#text(this.#at - length, this.#at)
  }

  /** Bytes of exactly this length, as a copy. */
  bin (length: number): Uint8Array {
    if (this.#byte() !== 0xc4 || this.#byte() !== length) throw fault(`${String(length)} bytes were expected`)
    this.#need(length)
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
  }

  /** Skips an array of plain values. */
  skipArray (): void {
    this.skip(this.array())
  }

  /** Skips plain values; checks only that they are complete. */
  skip (values: number): void {
    for (let left = values; left > 0; left--) {
      const tag = this.#byte()
      if (tag >= 0xa0 && tag <= 0xbf) this.#skipBytes(tag & 0x1f)
      else if (tag === 0xd9 || tag === 0xc4) this.#skipBytes(this.#byte())
      else if (tag === 0xda) this.#skipBytes(this.#uint16())
      else if (tag >= 0xcc && tag <= 0xd3) this.#skipBytes(1 << (tag & 3))
      else if (tag >= 0x80 && tag < 0xe0) throw fault('a plain value was expected')
    }
  }

  #skipBytes (bytes: number): void {
    this.#need(bytes)
    this.#at += bytes
  }

  #textLength (): number {
    const tag = this.#byte()
    if (tag >= 0xa0 && tag <= 0xbf) return tag & 0x1f
    if (tag === 0xd9) return this.#atLeast(this.#byte(), 32)
    if (tag === 0xda) return this.#atLeast(this.#uint16(), 0x100)
    throw fault('text was expected')
  }

  #skipPositive64 (): void {
    this.#skipUint64()
    // Reading the sign bit is far cheaper than comparing big integers.
    if ((this.#bytes[this.#at - 8] ?? 0) >= 0x80) throw fault('a number is too large')
  }

  #skipUint64 (): void {
    this.#at++
    this.#need(8)
    if (this.#view.getUint32(this.#at) === 0) throw fault('a number is not in its shortest form')
    this.#at += 8
  }

  #negative (): bigint {
    const tag = this.#byte()
    if (tag >= 0xe0) return BigInt(tag - 0x100)
    const [bytes, limit] = tag === 0xd0 ? [1, -32n] as const
      : tag === 0xd1 ? [2, -0x80n] as const
        : tag === 0xd2 ? [4, -0x8000n] as const
          : tag === 0xd3 ? [8, -0x8000_0000n] as const
            : [0, 0n] as const
    if (bytes === 0) throw fault('a number was expected')
    this.#need(bytes)
    const value = bytes === 8 ? this.#view.getBigInt64(this.#at)
      : BigInt(bytes === 4 ? this.#view.getInt32(this.#at) : bytes === 2 ? this.#view.getInt16(this.#at) : this.#view.getInt8(this.#at))
    this.#at += bytes
    if (value >= limit) throw fault('a number is not in its shortest form')
    return value
  }

  #text (start: number, end: number): string {
    const bytes = this.#bytes
    if (end - start > SHORT_TEXT_BYTES) return this.#decode(start, end)
    let text = ''
    let i = start
    // Eight characters at a time: for a short name, calling a native decoder costs more, and so does appending one at a time.
    for (; i + 8 <= end; i += 8) {
      const a = bytes[i] ?? 0, b = bytes[i + 1] ?? 0, c = bytes[i + 2] ?? 0, d = bytes[i + 3] ?? 0
      const e = bytes[i + 4] ?? 0, f = bytes[i + 5] ?? 0, g = bytes[i + 6] ?? 0, h = bytes[i + 7] ?? 0
      if ((a | b | c | d | e | f | g | h) >= 0x80) return this.#decode(start, end)
      text += String.fromCharCode(a, b, c, d, e, f, g, h)
    }
    for (; i < end; i++) {
      const a = bytes[i] ?? 0
      if (a >= 0x80) return this.#decode(start, end)
      text += String.fromCharCode(a)
    }
    return text
  }

  #decode (start: number, end: number): string {
    try {
      return decoder.decode(this.#bytes.subarray(start, end))
    } catch (cause) {
      throw new FileSyncError('LISTING_INVALID', 'A listing contains text that is not UTF-8.', { cause })
    }
  }

  #atLeast (value: number, least: number): number {
    if (value < least) throw fault('a number is not in its shortest form')
    return value
  }

  #byte (): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw fault('it ends too early')
    this.#at++
    return byte
  }

  #uint16 (): number {
    this.#need(2)
    this.#at += 2
    return this.#view.getUint16(this.#at - 2)
  }

  #uint32 (): number {
    this.#need(4)
    this.#at += 4
    return this.#view.getUint32(this.#at - 4)
  }

  #need (bytes: number): void {
    if (this.remainingBytes < bytes) throw fault('it ends too early')
  }
}
