import { FileSyncError, FLAG_ZSTD, FRAME_HEADER_BYTES, LIMITS, writeFrameHeader } from '@filesync/protocol'
import type { FrameType } from '@filesync/protocol'

/** One zstd frame of the bytes. */
export type Compress = (bytes: Uint8Array) => Uint8Array

/** The content of a zstd frame, which must be exactly `sizeBytes` long. Rejects with FRAME_MALFORMED. */
export type Decompress = (bytes: Uint8Array, sizeBytes: number) => Promise<Uint8Array<ArrayBuffer>>

/** The original length (u32, big-endian) precedes the zstd frame. */
const LENGTH_BYTES = 4
/** Compressing a smaller frame costs more than it gains. */
const MIN_PAYLOAD_BYTES = 512
/** Size of the sample that is compressed before the whole frame. */
const SAMPLE_BYTES = 16_384
/** Content that shrinks to no less than this share is sent plain, which saves the other end the work. */
const WORTHWHILE = 0.9

/**
 * The frame with its payload compressed, or the frame itself if it does not shrink to nine tenths. A sample from the middle
 * is tried first, so that media and archive files cost little.
 */
export function compressFrame (frame: Uint8Array<ArrayBuffer>, type: FrameType, compress: Compress): Uint8Array<ArrayBuffer> {
  const payload = frame.subarray(FRAME_HEADER_BYTES)
  if (payload.length < MIN_PAYLOAD_BYTES) return frame
  if (payload.length > 4 * SAMPLE_BYTES) {
    const from = (payload.length - SAMPLE_BYTES) >> 1
    if (compress(payload.subarray(from, from + SAMPLE_BYTES)).length > SAMPLE_BYTES * WORTHWHILE) return frame
  }
  const packed = compress(payload)
  const payloadBytes = LENGTH_BYTES + packed.length
  if (payloadBytes > payload.length * WORTHWHILE) return frame
  const compressed = new Uint8Array(FRAME_HEADER_BYTES + payloadBytes)
  writeFrameHeader(compressed, { type, flags: FLAG_ZSTD, payloadBytes })
  new DataView(compressed.buffer).setUint32(FRAME_HEADER_BYTES, payload.length)
  compressed.set(packed, FRAME_HEADER_BYTES + LENGTH_BYTES)
  return compressed
}

/**
 * The original payload of a compressed frame. Its length is checked before anything is decompressed. Rejects with
 * FRAME_MALFORMED, or with MESSAGE_UNEXPECTED if `decompress` is undefined because HELLO did not agree on zstd.
 */
export async function expandPayload (
  payload: Uint8Array<ArrayBuffer>, decompress: Decompress | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  if (decompress === undefined) {
    throw new FileSyncError('MESSAGE_UNEXPECTED', 'The other end sent a compressed frame, but compression was not agreed on.')
  }
  if (payload.length <= LENGTH_BYTES) throw new FileSyncError('FRAME_MALFORMED', 'A compressed frame is truncated.')
  const sizeBytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
  if (sizeBytes === 0 || sizeBytes > LIMITS.rawFrameBytes) {
    throw new FileSyncError('FRAME_MALFORMED', `A compressed frame announces an invalid length of ${String(sizeBytes)} bytes.`)
  }
  const bytes = await decompress(payload.subarray(LENGTH_BYTES), sizeBytes)
  if (bytes.length !== sizeBytes) throw new FileSyncError('FRAME_MALFORMED', 'A compressed frame has another length than it announces.')
  return bytes
}
