/** Told the buffer of bytes that were given away, when it is free again. Whoever got it may keep it instead. */
export type ReuseBuffer = (buffer: ArrayBuffer) => void

/** Below this a buffer costs less to make than to keep. */
const POOLED_BYTES_MIN = 64 << 10
/** Buffers are made in multiples of this, so that one that was made for a frame fits the next, which is about as long. */
const STEP_BYTES = 128 << 10

/**
 * Buffers of frames that were sent or stored, for frames to come. Without it a transfer makes and drops a mebibyte for
 * each frame, and the garbage collector walks the whole heap for every few dozen of them.
 */
export class BufferPool {
  readonly #maxBuffers: number
  readonly #free: ArrayBuffer[] = []

  /** @param maxBuffers how many are kept while nobody uses them */
  constructor (maxBuffers: number) {
    this.#maxBuffers = maxBuffers
  }

  /** A buffer for so many bytes that may hold anything; undefined where none fits that is not twice as large. */
  acquireFree (sizeBytes: number): ArrayBuffer | undefined {
    const at = this.#free.findLastIndex(buffer => buffer.byteLength >= sizeBytes && buffer.byteLength <= 2 * sizeBytes)
    return at < 0 ? undefined : this.#free.splice(at, 1)[0]
  }

  /** So many bytes that may hold anything, in a buffer that holds nothing else. */
  acquire (sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes < POOLED_BYTES_MIN) return new Uint8Array(sizeBytes)
    return new Uint8Array(this.acquireFree(sizeBytes) ?? new ArrayBuffer(Math.ceil(sizeBytes / STEP_BYTES) * STEP_BYTES), 0, sizeBytes)
  }

  /** Takes a buffer that nobody uses any more. */
  release (buffer: ArrayBuffer): void {
    if (buffer.byteLength >= POOLED_BYTES_MIN && this.#free.length < this.#maxBuffers) this.#free.push(buffer)
  }
}
