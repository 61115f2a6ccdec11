import { DIGEST_BYTES } from '@filesync/protocol'
import type { Digest } from '@filesync/protocol'
import { ByteSlabs } from '../store/byte-slabs.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { bytes, integers, places } from './columns.ts'

const INDEX_BYTES = 4
const HAS_ROLES = 1
const IS_PART = 2

/** Where entries come from, if the client's listing has others too. */
export interface PartOfListing {
  /** Of the client's directory. */
  readonly digest: Digest
  /** By entry, its index in the client's listing. */
  readonly indices: Uint32Array
}

/** Entries of one directory. */
export interface EntryRecord {
  /** Encoded as a listing. */
  readonly listing: Uint8Array
  /** By entry, bits of `ROLES`; by default the roles of new entries. */
  readonly roles?: Uint8Array | undefined
  /** By default, the indices are the same as in `listing`. */
  readonly part?: PartOfListing | undefined
}

/** Entries of very many directories, by the number of the directory. */
export class EntryRecords {
  /** For each its listing, then the roles of the entries, then its digest and the indices of the entries, if it has such. */
  readonly #slabs = new ByteSlabs()
  readonly #places = places()
  readonly #flags = bytes()
  readonly #counts = integers()
  readonly #listingBytes = integers()

  /** Adds the entries of the next directory. */
  add (owner: number, record: EntryRecord): void {
    this.#put(owner, record, this.#slabs.hold(join(record)))
  }

  /** Replaces the entries of a directory. */
  replace (owner: number, record: EntryRecord): void {
    const old = this.#places.at(owner)
    // Before the old ones are freed, which the new ones may be a part of.
    const place = this.#slabs.hold(join(record))
    this.#slabs.release(old)
    this.#put(owner, record, place)
  }

  /** How many bytes a record takes. */
  sizeOf (owner: number): number {
    const partBytes = this.isPart(owner) ? DIGEST_BYTES + INDEX_BYTES * this.countOf(owner) : 0
    return this.#listingBytes.at(owner) + this.#rolesBytes(owner) + partBytes
  }

  countOf (owner: number): number {
    return this.#counts.at(owner)
  }

  hasRoles (owner: number): boolean {
    return (this.#flags.at(owner) & HAS_ROLES) !== 0
  }

  isPart (owner: number): boolean {
    return (this.#flags.at(owner) & IS_PART) !== 0
  }

  listingOf (owner: number): Uint8Array {
    const record = this.#slabs.at(this.#places.at(owner), this.sizeOf(owner))
    const lengthBytes = this.#listingBytes.at(owner)
    return record.length === lengthBytes ? record : record.subarray(0, lengthBytes)
  }

  /** By entry, its roles; only if the record has roles. */
  rolesOf (owner: number): Uint8Array {
    return this.#after(owner, 0, this.#rolesBytes(owner))
  }

  /** The roles of the entry at a place; only if the record has roles. */
  roleAt (owner: number, place: number): number {
    return this.#after(owner, place, 1)[0] ?? 0
  }

  /** Of the client's directory; undefined if the record has all of its entries. */
  digestOf (owner: number): Digest | undefined {
    return this.isPart(owner) ? this.#after(owner, this.#rolesBytes(owner), DIGEST_BYTES).slice() as Digest : undefined
  }

  partOf (owner: number): PartOfListing | undefined {
    const digest = this.digestOf(owner)
    if (digest === undefined) return undefined
    return { digest, indices: Uint32Array.from({ length: this.countOf(owner) }, (_, place) => this.indexAt(owner, place)) }
  }

  /** The index in the client's listing of the entry at a place. */
  indexAt (owner: number, place: number): number {
    if (!this.isPart(owner)) return place
    const index = this.#after(owner, this.#rolesBytes(owner) + DIGEST_BYTES + INDEX_BYTES * place, INDEX_BYTES)
    return new DataView(index.buffer, index.byteOffset, INDEX_BYTES).getUint32(0)
  }

  #put (owner: number, { listing, roles, part }: EntryRecord, place: number): void {
    this.#places.set(owner, place)
    this.#flags.set(owner, (roles === undefined ? 0 : HAS_ROLES) | (part === undefined ? 0 : IS_PART))
    this.#counts.set(owner, new ListingCursor(listing).count)
    this.#listingBytes.set(owner, listing.length)
  }

  #rolesBytes (owner: number): number {
    return this.hasRoles(owner) ? this.countOf(owner) : 0
  }

  /** Bytes of a record after its listing. */
  #after (owner: number, offset: number, lengthBytes: number): Uint8Array {
    const start = this.#listingBytes.at(owner) + offset
    return this.#slabs.at(this.#places.at(owner), this.sizeOf(owner)).subarray(start, start + lengthBytes)
  }
}

function join ({ listing, roles, part }: EntryRecord): Uint8Array {
  if (roles === undefined && part === undefined) return listing
  const rolesEnd = listing.length + (roles?.length ?? 0)
  const record = new Uint8Array(rolesEnd + (part === undefined ? 0 : DIGEST_BYTES + INDEX_BYTES * part.indices.length))
  record.set(listing)
  if (roles !== undefined) record.set(roles, listing.length)
  if (part === undefined) return record
  record.set(part.digest, rolesEnd)
  const view = new DataView(record.buffer, rolesEnd + DIGEST_BYTES)
  part.indices.forEach((index, at) => { view.setUint32(INDEX_BYTES * at, index) })
  return record
}
