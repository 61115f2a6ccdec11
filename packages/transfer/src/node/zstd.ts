import { promisify } from 'node:util'
import { constants, zstdCompressSync, zstdDecompress as decompressWithCallback } from 'node:zlib'
import type { ZstdOptions } from 'node:zlib'
import { FileSyncError } from '@filesync/protocol'
import type { Compress, Decompress } from '../compressed-frame.ts'

/** Level 1 compresses text three times as fast as the default 3, to a result that is 5 % larger. */
const OPTIONS: ZstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

const decompressInPool = promisify<Uint8Array, ZstdOptions, Uint8Array<ArrayBuffer>>(decompressWithCallback)

/** Synchronous, because it runs in the worker that reads the files. */
export const zstdCompress: Compress = bytes => zstdCompressSync(bytes, OPTIONS)

/** In Node's thread pool. Rejects with FRAME_MALFORMED if the bytes are not one zstd frame or expand to more than `sizeBytes`. */
export const zstdDecompress: Decompress = async (bytes, sizeBytes) => {
  if (zstdFrameBytes(bytes) !== bytes.length) throw new FileSyncError('FRAME_MALFORMED', 'A compressed frame is not a single zstd frame.')
  try {
    const plain = await decompressInPool(bytes, { maxOutputLength: sizeBytes, chunkSize: Math.max(sizeBytes, 64) })
    // Alone in its buffer, so that it can be transferred to the thread that stages it.
    return plain.byteLength === plain.buffer.byteLength ? new Uint8Array(plain.buffer) : new Uint8Array(plain)
  } catch (error) {
    throw new FileSyncError('FRAME_MALFORMED', 'A compressed frame cannot be decompressed.', { cause: error })
  }
}

const MAGIC = 0xfd2fb528
const CHECKSUM_BYTES = 4
const RLE_BLOCK = 1

/**
 * Length of the zstd frame at the start of the bytes, by the headers of its blocks (RFC 8878, 3.1.1); undefined if there is
 * none or it is truncated. The decoder would accept several frames, and ignore what follows the last.
 */
function zstdFrameBytes (bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length <= 5 || view.getUint32(0, true) !== MAGIC) return undefined
  const descriptor = view.getUint8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryIdBytes = (descriptor & 3) === 3 ? 4 : descriptor & 3
  const sizeCode = descriptor >> 6
  const contentSizeBytes = sizeCode > 0 ? 2 ** sizeCode : isSingleSegment ? 1 : 0
  let at = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes
  for (let isLast = false; !isLast;) {
    if (at + 3 > bytes.length) return undefined
    const header = view.getUint16(at, true) | view.getUint8(at + 2) << 16
    isLast = (header & 1) === 1
    at += 3 + ((header >> 1 & 3) === RLE_BLOCK ? 1 : header >> 3)
  }
  return at + ((descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES)
}
