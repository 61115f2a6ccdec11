import { Packr } from 'msgpackr'
import { checkMsgpack } from './bounded-msgpack.ts'
import { FileSyncError } from './errors.ts'

// Records and structured cloning are extensions of the library's own; another language could not read them.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, copyBuffers: true, variableMapSize: true })

/** A plain value as MessagePack. */
export function encodeValue (value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(packr.pack(value))
}

/** The value that the bytes are. Throws ENCODING_MALFORMED, ENCODING_FORBIDDEN or ENCODING_TOO_DEEP, and nothing else. */
export function decodeValue (bytes: Uint8Array): unknown {
  checkMsgpack(bytes)
  try {
    return packr.unpack(bytes) as unknown
  } catch (cause) {
    throw new FileSyncError('ENCODING_MALFORMED', 'A message cannot be decoded.', { cause })
  }
}
