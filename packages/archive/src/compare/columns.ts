/** Numbers that are allocated at once: a list that grows neither copies nor frees what it has. */
const CHUNK_BITS = 14
const CHUNK_LENGTH = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_LENGTH - 1

type NumberArray = Uint8Array | Uint32Array | Float64Array

/** A growing list of numbers that takes the memory of a typed array. */
export class Column<T extends NumberArray> {
  readonly #chunks: T[] = []
  readonly #make: (length: number) => T

  /** @param make an array filled with zeros */
  constructor (make: (length: number) => T) {
    this.#make = make
  }

  /** 0 if it was never set. */
  at (index: number): number {
    return this.#chunks[index >>> CHUNK_BITS]?.[index & CHUNK_MASK] ?? 0
  }

  set (index: number, value: number): void {
    const chunk = index >>> CHUNK_BITS
    while (chunk >= this.#chunks.length) this.#chunks.push(this.#make(CHUNK_LENGTH))
    const values = this.#chunks[chunk]
    if (values !== undefined) values[index & CHUNK_MASK] = value
  }
}

export function bytes (): Column<Uint8Array> {
  return new Column(length => new Uint8Array(length))
}

export function integers (): Column<Uint32Array> {
  return new Column(length => new Uint32Array(length))
}

/** For integers of more than 32 bits. */
export function places (): Column<Float64Array> {
  return new Column(length => new Float64Array(length))
}
