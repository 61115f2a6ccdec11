import { FileSyncError } from './errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function fault (why: string): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `A listing is not in canonical form: ${why}.`)
}

/** Reads what MsgpackWriter writes and refuses every other spelling of the same values, with LISTING_INVALID. */
export class MsgpackReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
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

  /** An integer from -2^63 to 2^64 - 1. */
  int64 (): bigint {
    const tag = this.#bytes[this.#at]
    if (tag === 0xcf) {
      this.#at++
      this.#need(8)
      const value = this.#view.getBigUint64(this.#at)
      this.#at += 8
      if (value <= 0xffff_ffffn) throw fault('a number is longer than it needs to be')
      return value
    }
    if (tag === undefined || tag < 0xd0) return BigInt(this.uint())
    return this.#negative()
  }

  str (): string {
    const tag = this.#byte()
    let length: number
    if (tag >= 0xa0 && tag <= 0xbf) length = tag & 0x1f
    else if (tag === 0xd9) length = this.#atLeast(this.#byte(), 32)
    else if (tag === 0xda) length = this.#atLeast(this.#uint16(), 0x100)
    else throw fault('text was expected')
    this.#need(length)
    const start = this.#at
    this.#at += length
    return this.#text(start, this.#at)
  }

  /** Bytes of exactly this length, as a copy. */
  bin (length: number): Uint8Array {
    if (this.#byte() !== 0xc4 || this.#byte() !== length) throw fault(`${String(length)} bytes were expected`)
    this.#need(length)
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
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
    if (value >= limit) throw fault('a number is longer than it needs to be')
    return value
  }

  #text (start: number, end: number): string {
    if (end - start <= 48) {
      let text = ''
      let i = start
      for (; i < end; i++) {
        const byte = this.#bytes[i] ?? 0x80
        if (byte >= 0x80) break
        text += String.fromCharCode(byte)
      }
      if (i === end) return text
    }
    try {
      return decoder.decode(this.#bytes.subarray(start, end))
    } catch (cause) {
      throw new FileSyncError('LISTING_INVALID', 'A listing holds text that is not UTF-8.', { cause })
    }
  }

  #atLeast (value: number, least: number): number {
    if (value < least) throw fault('a number is longer than it needs to be')
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
