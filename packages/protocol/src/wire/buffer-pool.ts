/** Returns the buffer of bytes whose ownership was passed on, once it is free. Calling it is optional. */
export type ReuseBuffer = (buffer: ArrayBuffer) => void

/** A smaller buffer costs less to allocate than to keep. */
const POOLED_BYTES_MIN = 64 << 10
/** Buffers are multiples of this, so that a buffer of one frame fits the next, which is about as long. */
const STEP_BYTES = 128 << 10

/**
 * Reuses the buffers of frames that were sent or stored. Without it a transfer allocates and drops a mebibyte for each frame,
 * and the garbage collector walks the whole heap for every few dozen of them.
 */
export class BufferPool {
  readonly #maxBuffers: number
  readonly #free: ArrayBuffer[] = []

  /** @param maxBuffers number of free buffers that are kept */
  constructor (maxBuffers: number) {
    this.#maxBuffers = maxBuffers
  }

  /** A free buffer of at least so many bytes and at most twice as many, with any content; undefined if there is none. */
  acquireFree (sizeBytes: number): ArrayBuffer | undefined {
    const at = this.#free.findLastIndex(buffer => buffer.byteLength >= sizeBytes && buffer.byteLength <= 2 * sizeBytes)
    return at < 0 ? undefined : this.#free.splice(at, 1)[0]
  }

  /** So many bytes with any content, which do not share their buffer. */
  acquire (sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes < POOLED_BYTES_MIN) return new Uint8Array(sizeBytes)
    return new Uint8Array(this.acquireFree(sizeBytes) ?? new ArrayBuffer(Math.ceil(sizeBytes / STEP_BYTES) * STEP_BYTES), 0, sizeBytes)
  }

  /** Takes back a buffer that is no longer used. */
  release (buffer: ArrayBuffer): void {
    if (buffer.byteLength >= POOLED_BYTES_MIN && this.#free.length < this.#maxBuffers) this.#free.push(buffer)
  }
}
