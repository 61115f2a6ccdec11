import { FileSyncError, FRAME_HEADER_BYTES, writeFrameHeader } from '@filesync/protocol'

/** The payload of a DATA frame starts with the number of its task (u32, big-endian); the bytes of the file follow. */
const DATA_HEADER_BYTES = 4

/** Offset of the bytes of the file in a DATA frame with its header. */
export const DATA_CONTENT_AT: number = FRAME_HEADER_BYTES + DATA_HEADER_BYTES

/** Writes the headers of a DATA frame whose content is in place; `frame` is the whole frame. */
export function writeDataHeader (frame: Uint8Array, task: number): void {
  writeFrameHeader(frame, { type: 'DATA', flags: 0, payloadBytes: frame.length - FRAME_HEADER_BYTES })
  new DataView(frame.buffer, frame.byteOffset + FRAME_HEADER_BYTES, DATA_HEADER_BYTES).setUint32(0, task)
}

/** The task and the bytes of a DATA payload; the bytes are a view. Throws FRAME_MALFORMED. */
export function readData (payload: Uint8Array<ArrayBuffer>): { readonly task: number, readonly content: Uint8Array<ArrayBuffer> } {
  if (payload.length <= DATA_HEADER_BYTES) throw new FileSyncError('FRAME_MALFORMED', 'A DATA frame has no data.')
  const task = new DataView(payload.buffer, payload.byteOffset, DATA_HEADER_BYTES).getUint32(0)
  return { task, content: payload.subarray(DATA_HEADER_BYTES) }
}
