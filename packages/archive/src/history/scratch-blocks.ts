import type { Scratch } from '../store/content-store.ts'

/** So much is kept in memory before the scratch file is opened. */
const IN_MEMORY_BYTES = 16 << 20

/** Blocks of bytes that are written once and read back in any order: the first ones are in memory, the others in a scratch file. */
export class ScratchBlocks {
  readonly #open: (() => Scratch | undefined) | undefined
  readonly #inMemoryBytes: number
  /** By number of the block: its bytes, or undefined if it is in the file. */
  readonly #inMemory: (Uint8Array | undefined)[] = []
  /** By number of the block: where it is in the file, and its length. */
  readonly #places: number[] = []
  #memoryBytes = 0
  #scratch: Scratch | 'none' | undefined
  #fileBytes = 0

  /**
   * @param open opens the scratch file; undefined if there is no room for one. By default everything stays in memory.
   * @param inMemoryBytes how much is kept in memory if there is a file
   */
  constructor (open?: () => Scratch | undefined, inMemoryBytes: number = IN_MEMORY_BYTES) {
    this.#open = open
    this.#inMemoryBytes = inMemoryBytes
  }

  /** Returns the number of the block. The bytes are copied unless they own their buffer. */
  write (bytes: Uint8Array): number {
    const number = this.#inMemory.length
    const isInFile = this.#memoryBytes + bytes.length > this.#inMemoryBytes && this.#writeToFile(bytes)
    this.#places.push(isInFile ? this.#fileBytes - bytes.length : 0, bytes.length)
    this.#inMemory.push(isInFile ? undefined : bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice())
    if (!isInFile) this.#memoryBytes += bytes.length
    return number
  }

  read (number: number): Uint8Array {
    const known = this.#inMemory[number]
    if (known !== undefined) return known
    const [at = 0, length = 0] = [this.#places[number * 2], this.#places[number * 2 + 1]]
    if (this.#scratch === undefined || this.#scratch === 'none') throw new RangeError('There is no such block.')
    return this.#scratch.read(at, length)
  }

  close (): void {
    if (this.#scratch !== 'none') this.#scratch?.close()
    this.#scratch = 'none'
  }

  /** Returns false if it has to stay in memory: a full disk must not end a restore. */
  #writeToFile (bytes: Uint8Array): boolean {
    this.#scratch ??= this.#open?.() ?? 'none'
    if (this.#scratch === 'none' || !this.#scratch.append(bytes)) return false
    this.#fileBytes += bytes.length
    return true
  }
}
