// This entry point has no streams and does not search for a native addon, which saves 10 ms at every start.
import { Packr } from 'msgpackr/pack'
import { checkMsgpack } from './bounded-msgpack.ts'
import { FileSyncError } from '../errors.ts'

const MAX_UINT32 = 0xffff_ffff

// Records and structured cloning are extensions of this library that other languages could not read. A 64-bit integer is read
// as a number, however the other end encoded it; one that a number cannot represent exactly becomes an unsafe integer, which
// every schema rejects.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, copyBuffers: true, variableMapSize: true, int64AsType: 'number' })

/** Encodes a plain value as MessagePack; a number without a fraction is written as an integer. */
export function encodeValue (value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(packr.pack(hasWideInteger(value) ? widen(value) : value))
}

/** Decodes a value. Throws only ENCODING_MALFORMED, ENCODING_FORBIDDEN or ENCODING_TOO_DEEP. */
export function decodeValue (bytes: Uint8Array): unknown {
  checkMsgpack(bytes)
  try {
    return packr.unpack(bytes) as unknown
  } catch (cause) {
    throw new FileSyncError('ENCODING_MALFORMED', 'Invalid message: it cannot be decoded.', { cause })
  }
}

// The library writes numbers above 32 bits as floats, which strict decoders of other languages reject where an integer is
// expected; it writes a bigint as an integer.
function hasWideInteger (value: unknown): boolean {
  if (typeof value === 'number') return value > MAX_UINT32 && Number.isSafeInteger(value)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  return Array.isArray(value) ? value.some(hasWideInteger) : Object.values(value).some(hasWideInteger)
}

function widen (value: unknown): unknown {
  if (typeof value === 'number') return hasWideInteger(value) ? BigInt(value) : value
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(widen)
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, widen(field)]))
}
