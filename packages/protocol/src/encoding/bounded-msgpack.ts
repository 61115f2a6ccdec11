import { FileSyncError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { LIMITS } from '../limits.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Number of bytes after the tag for the types of fixed length; all other types are handled separately. */
const FIXED_BYTES = new Map<number, number>([
  [0xc0, 0], [0xc2, 0], [0xc3, 0],
  [0xca, 4], [0xcb, 8],
  [0xcc, 1], [0xcd, 2], [0xce, 4], [0xcf, 8],
  [0xd0, 1], [0xd1, 2], [0xd2, 4], [0xd3, 8],
])

/**
 * Validates a MessagePack value without decoding it, and rejects what must never reach the decoder: extension types (which it
 * turns into records, sets, errors and big integers), the unused type 0xC1, containers nested too deep, counts and lengths
 * that exceed the remaining bytes, text that is not UTF-8, map keys that are not text, duplicate or `__proto__`, and bytes
 * after the value. Allocates nothing in proportion to what the bytes claim.
 *
 * Throws ENCODING_MALFORMED, ENCODING_FORBIDDEN or ENCODING_TOO_DEEP.
 */
export function checkMsgpack (bytes: Uint8Array): void {
  const end = new Walk(bytes).value(0, 0)
  if (end !== bytes.length) throw fault('ENCODING_MALFORMED', 'there are bytes after the value')
}

class Walk {
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Returns the end of the value that starts at `at`. */
  value (at: number, depth: number): number {
    const tag = this.#uint(at, 1)
    if (tag <= 0x7f || tag >= 0xe0) return at + 1
    if (tag <= 0x8f) return this.#map(at + 1, tag & 0x0f, depth)
    if (tag <= 0x9f) return this.#array(at + 1, tag & 0x0f, depth)
    if (tag <= 0xbf) return this.#text(at + 1, tag & 0x1f)
    if (tag >= 0xc4 && tag <= 0xc6) return this.#bin(at, tag - 0xc4)
    if (tag >= 0xd9 && tag <= 0xdb) {
      const width = 1 << (tag - 0xd9)
      return this.#text(at + 1 + width, this.#uint(at + 1, width))
    }
    if (tag === 0xdc || tag === 0xdd) {
      const width = tag === 0xdc ? 2 : 4
      return this.#array(at + 1 + width, this.#uint(at + 1, width), depth)
    }
    if (tag === 0xde || tag === 0xdf) {
      const width = tag === 0xde ? 2 : 4
      return this.#map(at + 1 + width, this.#uint(at + 1, width), depth)
    }
    const fixed = FIXED_BYTES.get(tag)
    if (fixed === undefined) throw fault('ENCODING_FORBIDDEN', `type 0x${tag.toString(16)} is not allowed`)
    return this.#skip(at + 1, fixed)
  }

  #array (start: number, count: number, depth: number): number {
    this.#enter(count, start, depth)
    let at = start
    for (let i = 0; i < count; i++) at = this.value(at, depth + 1)
    return at
  }

  #map (start: number, count: number, depth: number): number {
    this.#enter(count * 2, start, depth)
    const keys = new Set<string>()
    let at = start
    for (let i = 0; i < count; i++) {
      const tag = this.#uint(at, 1)
      if (!(tag >= 0xa0 && tag <= 0xbf) && !(tag >= 0xd9 && tag <= 0xdb)) throw fault('ENCODING_FORBIDDEN', 'a map key is not text')
      const keyEnd = this.value(at, depth + 1)
      const key = decoder.decode(this.#bytes.subarray(at + (tag >= 0xd9 ? 1 + (1 << (tag - 0xd9)) : 1), keyEnd))
      if (key === '__proto__' || keys.has(key)) throw fault('ENCODING_FORBIDDEN', 'a map key is duplicate or not allowed')
      keys.add(key)
      at = this.value(keyEnd, depth + 1)
    }
    return at
  }

  #enter (values: number, at: number, depth: number): void {
    if (depth >= LIMITS.messageDepth) throw fault('ENCODING_TOO_DEEP', 'containers are nested too deep')
    // Each value takes at least one byte.
    if (values > this.#bytes.length - at) throw fault('ENCODING_MALFORMED', 'a count exceeds the bytes that are left')
  }

  #text (start: number, length: number): number {
    const end = this.#skip(start, length)
    try {
      decoder.decode(this.#bytes.subarray(start, end))
    } catch {
      throw fault('ENCODING_MALFORMED', 'text is not UTF-8')
    }
    return end
  }

  #bin (at: number, widthExponent: number): number {
    const width = 1 << widthExponent
    return this.#skip(at + 1 + width, this.#uint(at + 1, width))
  }

  #skip (at: number, length: number): number {
    if (length > this.#bytes.length - at) throw fault('ENCODING_MALFORMED', 'it ends too early')
    return at + length
  }

  #uint (at: number, width: number): number {
    this.#skip(at, width)
    if (width === 1) return this.#view.getUint8(at)
    return width === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at)
  }
}

function fault (code: ErrorCode, why: string): FileSyncError {
  return new FileSyncError(code, `Invalid message: ${why}.`)
}
