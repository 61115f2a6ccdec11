import type { Frame } from './frame.ts'

/** Memory of the objects of a frame beside its bytes. Counted so that many tiny frames cannot exceed the limit. */
const FRAME_OVERHEAD_BYTES = 512

/** Frames that wait for the session, undecoded: decoded they would take many times their length in memory. */
export class Inbox {
  readonly #maxBytes: number
  #frames: (Frame | undefined)[] = []
  #first = 0
  #bytes = 0

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get isFull (): boolean {
    return this.#bytes >= this.#maxBytes
  }

  push (frame: Frame): void {
    this.#frames.push(frame)
    this.#bytes += frame.payload.length + FRAME_OVERHEAD_BYTES
  }

  shift (): Frame | undefined {
    const frame = this.#frames[this.#first]
    if (frame === undefined) return undefined
    this.#bytes -= frame.payload.length + FRAME_OVERHEAD_BYTES
    // Array.shift would move all the others each time.
    this.#frames[this.#first++] = undefined
    if (this.#first * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#first)
      this.#first = 0
    }
    return frame
  }

  clear (): void {
    this.#frames = []
    this.#first = 0
    this.#bytes = 0
  }
}
