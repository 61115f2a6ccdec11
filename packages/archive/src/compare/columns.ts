const FIRST_LENGTH = 64

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array

/** A growing list of numbers that takes the memory of a typed array. */
export class Column<T extends NumberArray> {
  #values: T
  readonly #make: (length: number) => T

  /** @param make an array filled with zeros */
  constructor (make: (length: number) => T) {
    this.#make = make
    this.#values = make(FIRST_LENGTH)
  }

  /** 0 if it was never set. */
  at (index: number): number {
    return this.#values[index] ?? 0
  }

  set (index: number, value: number): void {
    if (index >= this.#values.length) {
      const grown = this.#make(Math.max(index + 1, this.#values.length * 2))
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[index] = value
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
