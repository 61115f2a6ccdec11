import { FileSyncError, FRAME_HEADER_BYTES, LIMITS, writeFrameHeader } from '@filesync/protocol'

/** One operation of a delta: copies bytes of the old file, or adds new bytes. */
export type DeltaOperation =
  | { readonly kind: 'COPY', readonly offset: number, readonly lengthBytes: number }
  | { readonly kind: 'DATA', readonly content: Uint8Array<ArrayBuffer> }

/** The payload of a DELTA frame starts with the number of its task (u32, big-endian); operations follow. */
const TASK_BYTES = 4
/** COPY: 0 (u8), offset in the old file (u64), length (u64). */
const COPY = 0
const COPY_BYTES = 17
/** DATA: 1 (u8), length (u32), that many bytes. */
const DATA = 1
const DATA_BYTES = 5
/** A copy of this length is sent at once, so that the other end copies while this one still reads. */
const COPY_AT_ONCE_BYTES = 16 << 20
const CAPACITY_BYTES = FRAME_HEADER_BYTES + LIMITS.rawFrameBytes

/** Writes operations into DELTA frames. Adjacent copies are merged. */
export class DeltaWriter {
  readonly #task: number
  readonly #frames: Uint8Array<ArrayBuffer>[] = []
  #frame: Uint8Array<ArrayBuffer> | undefined
  #filled = 0
  #copy: { readonly offset: number, lengthBytes: number } | undefined

  constructor (task: number) {
    this.#task = task
  }

  copy (offset: number, lengthBytes: number): void {
    if (this.#copy !== undefined && this.#copy.offset + this.#copy.lengthBytes === offset) {
      this.#copy.lengthBytes += lengthBytes
      if (this.#copy.lengthBytes >= COPY_AT_ONCE_BYTES) this.flush()
      return
    }
    this.#flushCopy()
    this.#copy = { offset, lengthBytes }
  }

  data (bytes: Uint8Array): void {
    this.#flushCopy()
    let from = 0
    while (from < bytes.length) {
      const view = this.#reserve(DATA_BYTES + 1)
      const length = Math.min(bytes.length - from, CAPACITY_BYTES - this.#filled - DATA_BYTES)
      view.setUint8(this.#filled, DATA)
      view.setUint32(this.#filled + 1, length)
      this.#frame?.set(bytes.subarray(from, from + length), this.#filled + DATA_BYTES)
      this.#filled += DATA_BYTES + length
      from += length
    }
  }

  /** Ends the current frame. */
  flush (): void {
    this.#flushCopy()
    this.#endFrame()
  }

  get isDue (): boolean {
    return this.#frames.length > 0
  }

  /** The next frame that is full or was ended. */
  take (): Uint8Array<ArrayBuffer> | undefined {
    return this.#frames.shift()
  }

  #flushCopy (): void {
    const copy = this.#copy
    if (copy === undefined) return
    this.#copy = undefined
    const view = this.#reserve(COPY_BYTES)
    view.setUint8(this.#filled, COPY)
    view.setBigUint64(this.#filled + 1, BigInt(copy.offset))
    view.setBigUint64(this.#filled + 9, BigInt(copy.lengthBytes))
    this.#filled += COPY_BYTES
  }

  #reserve (bytes: number): DataView {
    if (this.#filled + bytes > CAPACITY_BYTES) this.#endFrame()
    if (this.#frame === undefined) {
      this.#frame = new Uint8Array(CAPACITY_BYTES)
      new DataView(this.#frame.buffer).setUint32(FRAME_HEADER_BYTES, this.#task)
      this.#filled = FRAME_HEADER_BYTES + TASK_BYTES
    }
    return new DataView(this.#frame.buffer)
  }

  #endFrame (): void {
    if (this.#frame === undefined) return
    writeFrameHeader(this.#frame, { type: 'DELTA', flags: 0, payloadBytes: this.#filled - FRAME_HEADER_BYTES })
    // A frame that is far from full is trimmed, because its whole buffer is transferred between threads.
    this.#frames.push(this.#filled > CAPACITY_BYTES / 2 ? this.#frame.subarray(0, this.#filled) : this.#frame.slice(0, this.#filled))
    this.#frame = undefined
    this.#filled = 0
  }
}

/** The task of a DELTA payload, and its operations. Throws FRAME_MALFORMED; so does iterating the operations. */
export function readDelta (payload: Uint8Array<ArrayBuffer>): { readonly task: number, readonly operations: Iterable<DeltaOperation> } {
  if (payload.length <= TASK_BYTES) throw malformed('no operations')
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  return { task: view.getUint32(0), operations: readOperations(payload, view) }
}

function * readOperations (payload: Uint8Array<ArrayBuffer>, view: DataView): Generator<DeltaOperation, void, undefined> {
  let at = TASK_BYTES
  while (at < payload.length) {
    const isCopy = view.getUint8(at) === COPY
    if (!isCopy && view.getUint8(at) !== DATA) throw malformed('unknown operation')
    if (payload.length - at < (isCopy ? COPY_BYTES : DATA_BYTES)) throw malformed('truncated operation')
    if (isCopy) {
      yield { kind: 'COPY', offset: fileSize(view, at + 1), lengthBytes: fileSize(view, at + 9) }
      at += COPY_BYTES
      continue
    }
    const length = view.getUint32(at + 1)
    at += DATA_BYTES
    if (length === 0 || length > payload.length - at) throw malformed('an operation has an invalid length')
    yield { kind: 'DATA', content: payload.subarray(at, at + length) }
    at += length
  }
}

function fileSize (view: DataView, at: number): number {
  const value = view.getBigUint64(at)
  if (value > BigInt(LIMITS.fileBytes)) throw malformed('a copy exceeds the largest file')
  return Number(value)
}

function malformed (why: string): FileSyncError {
  return new FileSyncError('FRAME_MALFORMED', `Invalid DELTA frame: ${why}.`)
}
