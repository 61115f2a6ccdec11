import { DIGEST_BYTES } from '../digest.ts'
import type { Digest } from '../digest.ts'
import type { DirectoryEntry, EntryReference } from './entry.ts'
import type { Name } from './name.ts'
import type { PagePlace } from './page-check.ts'
import { joinPath } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'

/** A listing, page or table that is to be requested. */
export interface WaitingListing {
  /** Undefined for the root. */
  readonly reference: EntryReference | undefined
  readonly directory: RelativePath
  readonly digest: Digest
  /** Absent for the top of a directory. */
  readonly place?: PagePlace | undefined
}

/** The listing that names directories which wait. */
interface Parent {
  readonly number: number
  readonly directory: RelativePath
}

const FIRST_BYTES = 4096
/** Number of the parent, index of the entry, digest, and at the end the length of the name: a record is read from its end. */
const FIXED_BYTES = 4 + 4 + DIGEST_BYTES + 2
const encoder = new TextEncoder()
// A name may begin with the character that elsewhere is a byte order mark.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * What is to be requested, last in, first out. A million directories may wait: each takes some 60 bytes in one buffer, and no object, which
 * would take ten times as much.
 */
export class WaitingListings {
  #count = 0
  #bytes = new Uint8Array(FIRST_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #end = 0
  /** The listings that name those that wait; several directories in succession have the same one. */
  readonly #parents: Parent[] = []
  /** Pages, tables and the root, which are few, by their position. */
  readonly #others = new Map<number, WaitingListing>()

  get count (): number {
    return this.#count
  }

  /** Adds a page, a table, or the root. */
  add (waiting: WaitingListing): void {
    this.#others.set(this.#count++, waiting)
  }

  /** Adds a directory, the entry at an index of a listing. */
  addDirectory ({ number, directory }: Parent, index: number, entry: DirectoryEntry): void {
    const last = this.#parents.at(-1)
    if (last?.number !== number || last.directory !== directory) this.#parents.push({ number, directory })
    // A character takes three bytes at most.
    this.#reserve(entry.name.length * 3 + FIXED_BYTES)
    const nameBytes = encoder.encodeInto(entry.name, this.#bytes.subarray(this.#end)).written
    const at = this.#end + nameBytes
    this.#view.setUint32(at, this.#parents.length - 1)
    this.#view.setUint32(at + 4, index)
    this.#bytes.set(entry.digest, at + 8)
    this.#view.setUint16(at + 8 + DIGEST_BYTES, nameBytes)
    this.#end = at + FIXED_BYTES
    this.#count++
  }

  /** Takes the last ones, in the order in which they were added. */
  take (most: number): WaitingListing[] {
    const taken: WaitingListing[] = []
    while (taken.length < most && this.#count > 0) {
      const position = --this.#count
      const other = this.#others.get(position)
      taken.push(other ?? this.#takeDirectory())
      this.#others.delete(position)
    }
    if (this.#end === 0) this.#parents.length = 0
    return taken.reverse()
  }

  #takeDirectory (): WaitingListing {
    const end = this.#end
    const nameBytes = this.#view.getUint16(end - 2)
    const start = end - FIXED_BYTES - nameBytes
    const at = start + nameBytes
    const owner = this.#view.getUint32(at)
    const parent = this.#parents[owner]
    if (parent === undefined) throw new RangeError('No directory is waiting.')
    // No earlier record has a later parent.
    this.#parents.length = owner + 1
    this.#end = start
    return {
      reference: [parent.number, this.#view.getUint32(at + 4)],
      directory: joinPath(parent.directory, decoder.decode(this.#bytes.subarray(start, at)) as Name),
      digest: this.#bytes.slice(at + 8, at + 8 + DIGEST_BYTES) as Digest,
    }
  }

  #reserve (moreBytes: number): void {
    if (this.#end + moreBytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#end + moreBytes, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
