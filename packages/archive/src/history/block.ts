/** Writes numbers and bytes one after the other, big-endian; each array follows its length. */
export class BlockWriter {
  readonly #pieces: Uint8Array[] = []

  byte (value: number): void {
    this.#pieces.push(Uint8Array.of(value))
  }

  number (value: number): void {
    const piece = new Uint8Array(4)
    new DataView(piece.buffer).setUint32(0, value)
    this.#pieces.push(piece)
  }

  bytes (value: Uint8Array): void {
    this.number(value.length)
    this.#pieces.push(value)
  }

  times (values: Float64Array): void {
    const piece = new Uint8Array(values.length * 8)
    const view = new DataView(piece.buffer)
    values.forEach((value, at) => { view.setFloat64(at * 8, value) })
    this.bytes(piece)
  }

  shorts (values: Uint16Array): void {
    const piece = new Uint8Array(values.length * 2)
    const view = new DataView(piece.buffer)
    values.forEach((value, at) => { view.setUint16(at * 2, value) })
    this.bytes(piece)
  }

  finish (): Uint8Array {
    const whole = new Uint8Array(this.#pieces.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const piece of this.#pieces) {
      whole.set(piece, at)
      at += piece.length
    }
    return whole
  }
}

/** Reads what a {@link BlockWriter} wrote, in the same order. */
export class BlockReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  byte (): number {
    return this.#view.getUint8(this.#at++)
  }

  number (): number {
    this.#at += 4
    return this.#view.getUint32(this.#at - 4)
  }

  bytes (): Uint8Array {
    const length = this.number()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  times (): Float64Array {
    const bytes = this.bytes()
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    return Float64Array.from({ length: bytes.length / 8 }, (_, at) => view.getFloat64(at * 8))
  }

  shorts (): Uint16Array {
    const bytes = this.bytes()
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    return Uint16Array.from({ length: bytes.length / 2 }, (_, at) => view.getUint16(at * 2))
  }
}
