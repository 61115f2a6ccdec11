import { DIGEST_BYTES } from '@filesync/protocol'
import type { Digest, EntryReference, Name, RelativePath } from '@filesync/protocol'
import { ByteSlabs } from '../store/byte-slabs.ts'
import { entryAt, entryOffsets, ListingCursor } from '../store/listing-cursor.ts'
import { bytes, integers, places } from './columns.ts'
import type { Column } from './columns.ts'
import { ComparedDirectory, onlyDirectories } from './compared-directory.ts'
import { DirectoryPaths } from './directory-paths.ts'
import type { PageNumbers } from './page-numbers.ts'
import { ROLES, rolesOfNew } from './roles.ts'

/** Up to this many entries, a listing is walked again for each lookup, which costs less than keeping where its entries are. */
const FEW_ENTRIES = 16
const INDEX_BYTES = 4
const NOTHING = new Uint8Array(0)
const NO_NAMES: readonly Name[] = Object.freeze([])
/** Memory of a directory beside its name and its entries, of one with tables of its entries, and of a name; measured. */
const DIRECTORY_BYTES = 96
const TABLE_BYTES = 512
const NAME_BYTES = 64

const IS_NEW = 1
const HAS_ROLES = 2
const IS_PART = 4
const IS_RELEASED = 8

/** Where entries come from. */
export interface PartOfListing {
  /** Of the client's directory. */
  readonly digest: Digest
  /** By entry, its index in the client's listing. */
  readonly indices: Uint32Array
}

/** A directory that was compared, and its entries that differ. */
export interface ComparedInit {
  /** The number of its listing. */
  readonly number: number
  readonly directory: RelativePath
  readonly isNew: boolean
  /** The entries that differ, encoded as a listing. */
  readonly listing: Uint8Array
  /** By entry, bits of `ROLES`; by default the roles of new entries. */
  readonly roles?: Uint8Array | undefined
  /** Set if the client's listing has other entries too, or if it came in pages. */
  readonly part?: PartOfListing | undefined
  /** Stored names that the client no longer has. */
  readonly gone?: readonly Name[]
  /** Where the indices are, if the client's listing came in pages. */
  readonly pages?: PageNumbers | undefined
}

/**
 * The directories of a client that differ from what is stored, each before those inside it. There may be more than a million, so there is
 * no object for each: what is known of them is in columns of numbers and in shared buffers, some 90 bytes beside their names and entries.
 */
export class ComparedDirectories implements Iterable<ComparedDirectory> {
  readonly paths: DirectoryPaths = new DirectoryPaths()
  readonly wantedCounts: Column<Uint32Array> = integers()
  readonly structureCounts: Column<Uint32Array> = integers()
  readonly #holdsLinks: boolean
  readonly #numbers = integers()
  readonly #flags = bytes()
  readonly #counts = integers()
  /** For each directory its listing, then the roles of the entries, then its digest and the indices of the entries, if it has such. */
  readonly #records = new ByteSlabs()
  readonly #places = places()
  readonly #listingBytes = integers()
  readonly #gone = new Map<number, readonly Name[]>()
  readonly #pages = new Map<number, PageNumbers>()
  /** Of longer listings, made when they are needed: the offsets of the entries, and the places of the wanted files. */
  readonly #offsets = new Map<number, Uint32Array>()
  readonly #wanted = new Map<number, Uint32Array>()

  /** @param holdsLinks whether the store can hold symbolic links */
  constructor (holdsLinks = true) {
    this.#holdsLinks = holdsLinks
  }

  get length (): number {
    return this.paths.length
  }

  /** Throws RangeError. */
  at (owner: number): ComparedDirectory {
    if (owner >= this.length) throw new RangeError(`The sync has no directory with the number ${String(owner)}.`)
    return new ComparedDirectory(this, owner)
  }

  /** The number of a directory; undefined if it does not differ. */
  ownerOf (directory: RelativePath): number | undefined {
    return this.paths.find(directory)
  }

  * [Symbol.iterator] (): Generator<ComparedDirectory, void, undefined> {
    for (let owner = 0; owner < this.length; owner++) yield new ComparedDirectory(this, owner)
  }

  /** The directories with stored entries that the client no longer has. */
  * withGone (): Generator<ComparedDirectory, void, undefined> {
    for (const owner of this.#gone.keys()) yield new ComparedDirectory(this, owner)
  }

  /** Adds a directory. */
  add ({ number, directory, isNew, listing, roles, part, gone = NO_NAMES, pages }: ComparedInit): ComparedDirectory {
    const owner = this.paths.add(directory)
    this.#numbers.set(owner, number)
    this.#flags.set(owner, (isNew ? IS_NEW : 0) | (roles === undefined ? 0 : HAS_ROLES) | (part === undefined ? 0 : IS_PART))
    this.#counts.set(owner, new ListingCursor(listing).count)
    this.#listingBytes.set(owner, listing.length)
    this.#places.set(owner, this.#records.hold(recordOf(listing, roles, part)))
    if (gone.length > 0) this.#gone.set(owner, gone.slice())
    if (pages !== undefined) this.#pages.set(owner, pages)
    this.#count(owner)
    return new ComparedDirectory(this, owner)
  }

  /** About how many bytes of memory a directory takes. */
  sizeOf (owner: number): number {
    const count = this.#counts.at(owner)
    const tableBytes = count > FEW_ENTRIES ? TABLE_BYTES + 2 * INDEX_BYTES * count : 0
    const pageBytes = this.#pages.get(owner)?.sizeBytes ?? 0
    return DIRECTORY_BYTES + this.paths.nameBytes(owner) + this.#recordBytes(owner) + tableBytes + pageBytes +
      NAME_BYTES * this.goneOf(owner).length
  }

  isNew (owner: number): boolean {
    return this.#has(owner, IS_NEW)
  }

  isReleased (owner: number): boolean {
    return this.#has(owner, IS_RELEASED)
  }

  hasRoles (owner: number): boolean {
    return this.#has(owner, HAS_ROLES)
  }

  /** See `ComparedDirectory.digest`. */
  digestOf (owner: number): Digest | undefined {
    const paged = this.#pages.get(owner)?.digest
    if (paged !== undefined) return paged
    return this.#has(owner, IS_PART) ? this.#part(owner, this.#rolesBytes(owner), DIGEST_BYTES).slice() as Digest : undefined
  }

  /** See `ComparedDirectory.gone`. */
  goneOf (owner: number): readonly Name[] {
    return this.#gone.get(owner) ?? NO_NAMES
  }

  /** See `ComparedDirectory.listing`. */
  listingOf (owner: number): Uint8Array {
    return this.#has(owner, IS_RELEASED) ? NOTHING : this.#listing(owner)
  }

  /** A listing that has all new and changed directories, also after it was released; it may have other entries too. */
  directoriesIn (owner: number): Uint8Array {
    return this.structureCounts.at(owner) === 0 ? NOTHING : this.#listing(owner)
  }

  /** By entry, its roles; none if the listing was released. */
  rolesOf (owner: number): Uint8Array {
    if (this.#has(owner, HAS_ROLES)) return this.#part(owner, 0, this.#counts.at(owner))
    const roles = new Uint8Array(this.#has(owner, IS_RELEASED) ? 0 : this.#counts.at(owner))
    for (const cursor = new ListingCursor(this.listingOf(owner)); cursor.next();) roles[cursor.index] = this.#rolesOfNew(cursor)
    return roles
  }

  /** The roles of the entry at a place. */
  roleAt (owner: number, place: number): number {
    if (this.#has(owner, HAS_ROLES)) return this.#part(owner, place, 1)[0] ?? 0
    const start = this.startOf(owner, place)
    return start === undefined ? 0 : this.#rolesOfNew(entryAt(this.listingOf(owner), start))
  }

  /** Changes the roles of entries. */
  changeRoles (owner: number, change: (roles: number, place: number) => number): void {
    const old = this.rolesOf(owner)
    const roles = old.map(change)
    if (roles.every((bits, place) => bits === old[place])) return
    const digest = this.#has(owner, IS_PART) ? this.digestOf(owner) : undefined
    const part = digest && { digest, indices: Uint32Array.from(roles, (_, place) => this.#indexAt(owner, place)) }
    const record = recordOf(this.listingOf(owner), roles, part)
    this.#records.release(this.#places.at(owner))
    this.#places.set(owner, this.#records.hold(record))
    this.#flags.set(owner, this.#flags.at(owner) | HAS_ROLES)
    this.#wanted.delete(owner)
    this.#count(owner)
  }

  /** See `ComparedDirectory.reference`. */
  reference (owner: number, place: number): EntryReference {
    const index = this.#has(owner, IS_PART) ? this.#indexAt(owner, place) : place
    return this.#pages.get(owner)?.at(index) ?? [this.#numbers.at(owner), index]
  }

  /** See `ComparedDirectory.startOf`. */
  startOf (owner: number, place: number): number | undefined {
    if (place >= this.#counts.at(owner) || this.#has(owner, IS_RELEASED)) return undefined
    const offsets = this.offsetsOf(owner)
    if (offsets !== undefined) return offsets[place]
    const cursor = new ListingCursor(this.listingOf(owner))
    while (cursor.index < place) cursor.next()
    return cursor.start
  }

  /** The offsets of the entries in the listing; undefined for a short one, and if it was released. */
  offsetsOf (owner: number): Uint32Array | undefined {
    const known = this.#offsets.get(owner)
    if (known !== undefined || this.#counts.at(owner) <= FEW_ENTRIES || this.#has(owner, IS_RELEASED)) return known
    const offsets = entryOffsets(this.listingOf(owner))
    this.#offsets.set(owner, offsets)
    return offsets
  }

  /** See `ComparedDirectory.wantedAt`. */
  wantedAt (owner: number, n: number): number | undefined {
    const wanted = this.wantedCounts.at(owner)
    if (n >= wanted || this.#has(owner, IS_RELEASED)) return undefined
    return wanted === this.#counts.at(owner) ? n : this.#wantedPlaces(owner)[n]
  }

  /** See `ComparedDirectory.wantedBefore`. */
  wantedBefore (owner: number, place: number): number | undefined {
    const count = this.wantedCounts.at(owner)
    if (count === this.#counts.at(owner)) return place < count ? place : undefined
    const wanted = this.#wantedPlaces(owner)
    let low = 0
    for (let high = wanted.length; low < high;) {
      const middle = (low + high) >>> 1
      if ((wanted[middle] ?? 0) < place) low = middle + 1
      else high = middle
    }
    return wanted[low] === place ? low : undefined
  }

  /** See `ComparedDirectory.releaseListing`. */
  release (owner: number): void {
    if (this.#has(owner, IS_RELEASED)) return
    const listing = this.#listing(owner)
    const kept = this.structureCounts.at(owner) === 0 ? NOTHING : onlyDirectories(listing)
    if (kept.length < this.#recordBytes(owner)) {
      const place = this.#records.hold(kept)
      this.#records.release(this.#places.at(owner))
      this.#places.set(owner, place)
      this.#listingBytes.set(owner, kept.length)
    }
    this.#flags.set(owner, this.#flags.at(owner) & IS_NEW | IS_RELEASED)
    this.#offsets.delete(owner)
    this.#wanted.delete(owner)
    this.#pages.delete(owner)
  }

  #has (owner: number, flag: number): boolean {
    return (this.#flags.at(owner) & flag) !== 0
  }

  #recordBytes (owner: number): number {
    const partBytes = this.#has(owner, IS_PART) ? DIGEST_BYTES + INDEX_BYTES * this.#counts.at(owner) : 0
    return this.#listingBytes.at(owner) + this.#rolesBytes(owner) + partBytes
  }

  #rolesBytes (owner: number): number {
    return this.#has(owner, HAS_ROLES) ? this.#counts.at(owner) : 0
  }

  #listing (owner: number): Uint8Array {
    const record = this.#records.at(this.#places.at(owner), this.#recordBytes(owner))
    const lengthBytes = this.#listingBytes.at(owner)
    return record.length === lengthBytes ? record : record.subarray(0, lengthBytes)
  }

  /** Bytes of a record after the listing. */
  #part (owner: number, offset: number, lengthBytes: number): Uint8Array {
    const start = this.#listingBytes.at(owner) + offset
    return this.#records.at(this.#places.at(owner), this.#recordBytes(owner)).subarray(start, start + lengthBytes)
  }

  #indexAt (owner: number, place: number): number {
    const index = this.#part(owner, this.#rolesBytes(owner) + DIGEST_BYTES + INDEX_BYTES * place, INDEX_BYTES)
    return new DataView(index.buffer, index.byteOffset, INDEX_BYTES).getUint32(0)
  }

  #rolesOfNew ({ kind }: ListingCursor): number {
    return rolesOfNew(kind, this.#holdsLinks)
  }

  #wantedPlaces (owner: number): Uint32Array {
    const known = this.#wanted.get(owner)
    if (known !== undefined) return known
    const wanted = new Uint32Array(this.wantedCounts.at(owner))
    let found = 0
    for (const [place, bits] of this.rolesOf(owner).entries()) if ((bits & ROLES.wanted) !== 0) wanted[found++] = place
    if (this.#counts.at(owner) > FEW_ENTRIES) this.#wanted.set(owner, wanted)
    return wanted
  }

  #count (owner: number): void {
    let [wanted, structure] = [0, 0]
    const add = (bits: number): void => {
      if ((bits & ROLES.wanted) !== 0) wanted++
      if ((bits & ROLES.structure) !== 0) structure++
    }
    if (this.#has(owner, HAS_ROLES)) this.rolesOf(owner).forEach(add)
    else for (const cursor = new ListingCursor(this.#listing(owner)); cursor.next();) add(this.#rolesOfNew(cursor))
    this.wantedCounts.set(owner, wanted)
    this.structureCounts.set(owner, structure)
  }
}

function recordOf (listing: Uint8Array, roles: Uint8Array | undefined, part: PartOfListing | undefined): Uint8Array {
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
