import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

/** Length (u32, of the payload alone), type (u8), flags (u8), zero (u16); all numbers big-endian. */
export const FRAME_HEADER_BYTES = 8

/** The content of frames. All but MESSAGE are raw bytes that never pass through MessagePack. */
export const FRAME_TYPES = {
  /** One message in MessagePack. */
  MESSAGE: 1,
  /** Empty; shows that the sender is alive. */
  HEARTBEAT: 2,
  /** Parts of listings. */
  LISTINGS: 3,
  /** Whole small files, one after another. */
  PACK: 4,
  /** The next bytes of a streamed file. */
  DATA: 5,
  /** The next copy and data operations of a file sent as a delta. */
  DELTA: 6,
  /** Parts of signatures. */
  SIGNATURE: 7,
  /** Digests of small files, one after another. */
  DIGESTS: 8,
} as const

export type FrameType = keyof typeof FRAME_TYPES

/** Frame types whose payload is raw bytes. */
export type RawFrameType = Exclude<FrameType, 'MESSAGE' | 'HEARTBEAT'>

/** Flag bit 0: the payload is a u32 with the original length, then one zstd frame. Raw frames only. */
export const FLAG_ZSTD = 1

export interface Frame {
  readonly type: FrameType
  readonly flags: number
  /** Does not share its buffer, which may be longer, so that the buffer can be transferred to another thread. */
  readonly payload: Uint8Array<ArrayBuffer>
}

const TYPE_NAMES = new Map<number, FrameType>(Object.entries(FRAME_TYPES).map(([name, code]) => [code, name as FrameType]))

function maxPayloadBytes (type: FrameType): number {
  if (type === 'MESSAGE') return LIMITS.messageFrameBytes
  return type === 'HEARTBEAT' ? 0 : LIMITS.rawFrameBytes
}

/**
 * One frame, header and payload in one buffer, so that it is one write.
 *
 * @param payload the pieces of the payload in order; they are copied
 */
export function encodeFrame (type: FrameType, payload: readonly Uint8Array[], flags = 0): Uint8Array<ArrayBuffer> {
  let length = 0
  for (const piece of payload) length += piece.length
  const frame = new Uint8Array(FRAME_HEADER_BYTES + length)
  writeFrameHeader(frame, { type, flags, payloadBytes: length })
  let at = FRAME_HEADER_BYTES
  for (const piece of payload) {
    frame.set(piece, at)
    at += piece.length
  }
  return frame
}

/** Writes the header at the start of a buffer that already contains the payload. Throws FRAME_TOO_LARGE. */
export function writeFrameHeader (frame: Uint8Array, header: { type: FrameType, flags: number, payloadBytes: number }): void {
  if (header.payloadBytes > maxPayloadBytes(header.type)) throw tooLarge(header.type, header.payloadBytes)
  const view = new DataView(frame.buffer, frame.byteOffset, FRAME_HEADER_BYTES)
  view.setUint32(0, header.payloadBytes)
  view.setUint8(4, FRAME_TYPES[header.type])
  view.setUint8(5, header.flags)
  view.setUint16(6, 0)
}

/** The flags of an encoded frame. */
export function frameFlags (frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset, FRAME_HEADER_BYTES).getUint8(5)
}

/**
 * Splits a stream of bytes into frames, whatever the boundaries of the chunks. The header is validated before memory is
 * allocated for the payload, so a peer costs at most one payload of the type's limit.
 */
export class FrameDecoder {
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES)
  readonly #headerView = new DataView(this.#header.buffer)
  readonly #allocate: (sizeBytes: number) => Uint8Array<ArrayBuffer>
  #headerFilled = 0
  #type: FrameType = 'MESSAGE'
  #flags = 0
  #payload: Uint8Array<ArrayBuffer> | undefined
  #payloadFilled = 0

  /** @param allocate returns exactly so many bytes for a payload, with any content */
  constructor (allocate: (sizeBytes: number) => Uint8Array<ArrayBuffer> = sizeBytes => new Uint8Array(sizeBytes)) {
    this.#allocate = allocate
  }

  /** Whether the bytes so far end between two frames. */
  get isBetweenFrames (): boolean {
    return this.#headerFilled === 0
  }

  /** The frames that these bytes complete. Throws FRAME_TOO_LARGE or FRAME_MALFORMED, after which the decoder cannot be used. */
  * push (bytes: Uint8Array): Generator<Frame, void, undefined> {
    let at = 0
    while (at < bytes.length) {
      if (this.#payload === undefined) {
        at += this.#fillHeader(bytes, at)
      } else {
        const taken = Math.min(bytes.length - at, this.#payload.length - this.#payloadFilled)
        this.#payload.set(at === 0 && taken === bytes.length ? bytes : bytes.subarray(at, at + taken), this.#payloadFilled)
        this.#payloadFilled += taken
        at += taken
      }
      const frame = this.#complete()
      if (frame !== undefined) yield frame
    }
  }

  #fillHeader (bytes: Uint8Array, at: number): number {
    const taken = Math.min(bytes.length - at, FRAME_HEADER_BYTES - this.#headerFilled)
    this.#header.set(bytes.subarray(at, at + taken), this.#headerFilled)
    this.#headerFilled += taken
    if (this.#headerFilled === FRAME_HEADER_BYTES) this.#readHeader()
    return taken
  }

  #readHeader (): void {
    const view = this.#headerView
    const length = view.getUint32(0)
    const type = TYPE_NAMES.get(view.getUint8(4))
    const flags = view.getUint8(5)
    if (type === undefined) throw new FileSyncError('FRAME_MALFORMED', `A frame has the unknown type ${String(view.getUint8(4))}.`)
    if (length > maxPayloadBytes(type)) throw tooLarge(type, length)
    const allowedFlags = type === 'MESSAGE' || type === 'HEARTBEAT' ? 0 : FLAG_ZSTD
    if ((flags & ~allowedFlags) !== 0 || view.getUint16(6) !== 0) {
      throw new FileSyncError('FRAME_MALFORMED', `The header of a ${type} frame has flags or reserved bits that are not allowed.`)
    }
    if (length === 0 && type !== 'HEARTBEAT') throw new FileSyncError('FRAME_MALFORMED', `A ${type} frame is empty.`)
    this.#type = type
    this.#flags = flags
    this.#payload = this.#allocate(length)
    this.#payloadFilled = 0
  }

  #complete (): Frame | undefined {
    const payload = this.#payload
    if (payload === undefined || this.#payloadFilled < payload.length) return undefined
    this.#payload = undefined
    this.#headerFilled = 0
    return { type: this.#type, flags: this.#flags, payload }
  }
}

function tooLarge (type: FrameType, bytes: number): FileSyncError {
  const limit = maxPayloadBytes(type)
  return new FileSyncError('FRAME_TOO_LARGE', `A ${type} frame of ${String(bytes)} bytes exceeds its limit of ${String(limit)}.`)
}
