import type { RelativePath } from '@filesync/protocol'

/**
 * Which directories may have files with a digest, by its first bytes: an open hash table of numbers, which takes some 16 bytes for a file
 * instead of the hundred or more of a map.
 */
export class DigestTable {
  readonly #directories: RelativePath[] = []
  readonly #mask: number
  readonly #keys: Uint32Array
  /** The number of the directory plus one; 0 for a free place. */
  readonly #owners: Uint32Array
  #count = 0

  /** @param files how many there are at most; what is added beyond that is not found */
  constructor (files: number) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(16, files * 1.5)))
    this.#mask = places - 1
    this.#keys = new Uint32Array(places)
    this.#owners = new Uint32Array(places)
  }

  /** What is added from now on is in this directory. */
  begin (directory: RelativePath): void {
    this.#directories.push(directory)
  }

  /** Adds the digest at a position. */
  add (bytes: Uint8Array, at: number): void {
    if (this.#count === this.#mask) return
    const [key, owner] = [keyOf(bytes, at), this.#directories.length]
    let place = key & this.#mask
    for (; this.#owners[place] !== 0; place = (place + 1) & this.#mask) {
      if (this.#keys[place] === key && this.#owners[place] === owner) return
    }
    this.#keys[place] = key
    this.#owners[place] = owner
    this.#count++
  }

  /** Directories that may have a file with a digest, in the order in which they were added. */
  find (digest: Uint8Array): RelativePath[] {
    const key = keyOf(digest, 0)
    const owners: number[] = []
    for (let place = key & this.#mask; ; place = (place + 1) & this.#mask) {
      const owner = this.#owners[place] ?? 0
      if (owner === 0) break
      if (this.#keys[place] === key) owners.push(owner)
    }
    return owners.sort((a, b) => a - b).flatMap(owner => this.#directories[owner - 1] ?? [])
  }
}

function keyOf (bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0)
}
