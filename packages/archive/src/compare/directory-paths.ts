import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { ByteSlabs } from '../store/byte-slabs.ts'
import { integers, places } from './columns.ts'

const FIRST_SLOTS = 128
const encoder = new TextEncoder()
// A name may begin with the character that elsewhere is a byte order mark.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The paths of very many directories, numbered from 0 in the order in which they were added. Of each only its name and the number of its
 * parent is kept, some 40 bytes: a million paths as texts in a map took 150 MB.
 */
export class DirectoryPaths {
  #length = 0
  /** Random, so that no client can choose paths that are all in one place of the table. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32)
  readonly #names = new ByteSlabs()
  readonly #namePlaces = places()
  readonly #nameBytes = integers()
  /** By directory, the number of its parent, plus one; 0 if the name is the whole path. */
  readonly #parents = integers()
  readonly #hashes = integers()
  /** A hash table with open addressing: numbers of directories, plus one. */
  #slots = new Uint32Array(FIRST_SLOTS)
  /** The last parent whose path was needed: directories come in groups of siblings. */
  #lastParent = -1
  #lastPath = ROOT_PATH

  get length (): number {
    return this.#length
  }

  /** Adds a directory, after its parent if that is added at all. Returns its number. */
  add (path: RelativePath): number {
    const owner = this.#length++
    const { directory, name } = splitPath(path)
    const parent = path === ROOT_PATH ? undefined : this.find(directory)
    const encoded = encoder.encode(parent === undefined ? path : name)
    this.#namePlaces.set(owner, this.#names.hold(encoded))
    this.#nameBytes.set(owner, encoded.length)
    this.#parents.set(owner, parent === undefined ? 0 : parent + 1)
    const hash = hashOf(path, this.#seed)
    this.#hashes.set(owner, hash)
    // At most half of the slots are used.
    if (this.#length * 2 > this.#slots.length) this.#grow()
    this.#insert(owner, hash)
    return owner
  }

  /** The number of a directory; undefined if it was not added. */
  find (path: RelativePath): number | undefined {
    const hash = hashOf(path, this.#seed)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = (this.#slots[slot] ?? 0) - 1
      if (found === -1) return undefined
      if (this.#hashes.at(found) === hash && this.at(found) === path) return found
    }
  }

  /** The path of a directory. */
  at (owner: number): RelativePath {
    const parent = this.#parents.at(owner) - 1
    const name = this.nameAt(owner)
    if (parent === -1) return name as string as RelativePath
    if (this.#lastParent !== parent) {
      this.#lastPath = this.at(parent)
      this.#lastParent = parent
    }
    return joinPath(this.#lastPath, name)
  }

  /** The name of a directory; its whole path if its parent was not added. */
  nameAt (owner: number): Name {
    return decoder.decode(this.#names.at(this.#namePlaces.at(owner), this.#nameBytes.at(owner))) as Name
  }

  /** Length of what `nameAt` returns, in UTF-8. */
  nameBytes (owner: number): number {
    return this.#nameBytes.at(owner)
  }

  /** The number of the parent of a directory; undefined if it was not added. */
  parentOf (owner: number): number | undefined {
    const parent = this.#parents.at(owner)
    return parent === 0 ? undefined : parent - 1
  }

  #grow (): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    for (let owner = 0; owner < this.#length - 1; owner++) this.#insert(owner, this.#hashes.at(owner))
  }

  #insert (owner: number, hash: number): void {
    const mask = this.#slots.length - 1
    let slot = hash & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = owner + 1
  }
}

/** FNV-1a of the UTF-16 units, mixed so that the low bits depend on all of them. */
function hashOf (path: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  return (hash ^ hash >>> 13) >>> 0
}
