import type { Digest, EntryReference, Name, RelativePath } from '@filesync/protocol'
import { entryAt, entryOffsets, ListingCursor } from '../store/listing-cursor.ts'
import { bytes, integers } from './columns.ts'
import type { Column } from './columns.ts'
import { ComparedDirectory, onlyDirectories } from './compared-directory.ts'
import { DirectoryPaths } from './directory-paths.ts'
import { EntryRecords } from './entry-records.ts'
import type { EntryRecord } from './entry-records.ts'
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
const IS_RELEASED = 2

/** A directory that was compared, and its entries that differ. */
export interface ComparedInit extends EntryRecord {
  /** The number of its listing. */
  readonly number: number
  readonly directory: RelativePath
  readonly isNew: boolean
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
  readonly #records = new EntryRecords()
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
  add ({ number, directory, isNew, gone = NO_NAMES, pages, ...record }: ComparedInit): ComparedDirectory {
    const owner = this.paths.add(directory)
    this.#numbers.set(owner, number)
    this.#flags.set(owner, isNew ? IS_NEW : 0)
    this.#records.add(owner, record)
    if (gone.length > 0) this.#gone.set(owner, gone.slice())
    if (pages !== undefined) this.#pages.set(owner, pages)
    this.#count(owner)
    return new ComparedDirectory(this, owner)
  }

  /** About how many bytes of memory a directory takes. */
  sizeOf (owner: number): number {
    const count = this.#records.countOf(owner)
    const tableBytes = count > FEW_ENTRIES ? TABLE_BYTES + 2 * INDEX_BYTES * count : 0
    const pageBytes = this.#pages.get(owner)?.sizeBytes ?? 0
    return DIRECTORY_BYTES + this.paths.nameBytes(owner) + this.#records.sizeOf(owner) + tableBytes + pageBytes +
      NAME_BYTES * this.goneOf(owner).length
  }

  isNew (owner: number): boolean {
    return this.#has(owner, IS_NEW)
  }

  isReleased (owner: number): boolean {
    return this.#has(owner, IS_RELEASED)
  }

  hasRoles (owner: number): boolean {
    return this.#records.hasRoles(owner)
  }

  /** See `ComparedDirectory.digest`. */
  digestOf (owner: number): Digest | undefined {
    return this.#pages.get(owner)?.digest ?? this.#records.digestOf(owner)
  }

  /** See `ComparedDirectory.gone`. */
  goneOf (owner: number): readonly Name[] {
    return this.#gone.get(owner) ?? NO_NAMES
  }

  /** See `ComparedDirectory.listing`. */
  listingOf (owner: number): Uint8Array {
    return this.#has(owner, IS_RELEASED) ? NOTHING : this.#records.listingOf(owner)
  }

  /** A listing that has all new and changed directories, also after it was released; it may have other entries too. */
  directoriesIn (owner: number): Uint8Array {
    return this.structureCounts.at(owner) === 0 ? NOTHING : this.#records.listingOf(owner)
  }

  /** By entry, its roles; none if the listing was released. */
  rolesOf (owner: number): Uint8Array {
    if (this.#records.hasRoles(owner)) return this.#records.rolesOf(owner)
    const roles = new Uint8Array(this.#has(owner, IS_RELEASED) ? 0 : this.#records.countOf(owner))
    for (const cursor = new ListingCursor(this.listingOf(owner)); cursor.next();) roles[cursor.index] = this.#rolesOfNew(cursor)
    return roles
  }

  /** The roles of the entry at a place. */
  roleAt (owner: number, place: number): number {
    if (this.#records.hasRoles(owner)) return this.#records.roleAt(owner, place)
    const start = this.startOf(owner, place)
    return start === undefined ? 0 : this.#rolesOfNew(entryAt(this.listingOf(owner), start))
  }

  /** Changes the roles of entries. */
  changeRoles (owner: number, change: (roles: number, place: number) => number): void {
    const old = this.rolesOf(owner)
    const roles = old.map(change)
    if (roles.every((bits, place) => bits === old[place])) return
    this.#records.replace(owner, { listing: this.listingOf(owner), roles, part: this.#records.partOf(owner) })
    this.#wanted.delete(owner)
    this.#count(owner)
  }

  /** See `ComparedDirectory.reference`. */
  reference (owner: number, place: number): EntryReference {
    const index = this.#records.indexAt(owner, place)
    return this.#pages.get(owner)?.at(index) ?? [this.#numbers.at(owner), index]
  }

  /** See `ComparedDirectory.startOf`. */
  startOf (owner: number, place: number): number | undefined {
    if (place >= this.#records.countOf(owner) || this.#has(owner, IS_RELEASED)) return undefined
    const offsets = this.offsetsOf(owner)
    if (offsets !== undefined) return offsets[place]
    const cursor = new ListingCursor(this.listingOf(owner))
    while (cursor.index < place) cursor.next()
    return cursor.start
  }

  /** The offsets of the entries in the listing; undefined for a short one, and if it was released. */
  offsetsOf (owner: number): Uint32Array | undefined {
    const known = this.#offsets.get(owner)
    if (known !== undefined || this.#records.countOf(owner) <= FEW_ENTRIES || this.#has(owner, IS_RELEASED)) return known
    const offsets = entryOffsets(this.listingOf(owner))
    this.#offsets.set(owner, offsets)
    return offsets
  }

  /** See `ComparedDirectory.wantedAt`. */
  wantedAt (owner: number, n: number): number | undefined {
    const wanted = this.wantedCounts.at(owner)
    if (n >= wanted || this.#has(owner, IS_RELEASED)) return undefined
    return wanted === this.#records.countOf(owner) ? n : this.#wantedPlaces(owner)[n]
  }

  /** See `ComparedDirectory.wantedBefore`. */
  wantedBefore (owner: number, place: number): number | undefined {
    const count = this.wantedCounts.at(owner)
    if (count === this.#records.countOf(owner)) return place < count ? place : undefined
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
    const kept = this.structureCounts.at(owner) === 0 ? NOTHING : onlyDirectories(this.#records.listingOf(owner))
    if (kept.length < this.#records.sizeOf(owner)) this.#records.replace(owner, { listing: kept })
    this.#flags.set(owner, this.#flags.at(owner) | IS_RELEASED)
    this.#offsets.delete(owner)
    this.#wanted.delete(owner)
    this.#pages.delete(owner)
  }

  #has (owner: number, flag: number): boolean {
    return (this.#flags.at(owner) & flag) !== 0
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
    if (this.#records.countOf(owner) > FEW_ENTRIES) this.#wanted.set(owner, wanted)
    return wanted
  }

  #count (owner: number): void {
    let [wanted, structure] = [0, 0]
    const add = (bits: number): void => {
      if ((bits & ROLES.wanted) !== 0) wanted++
      if ((bits & ROLES.structure) !== 0) structure++
    }
    if (this.#records.hasRoles(owner)) this.rolesOf(owner).forEach(add)
    else for (const cursor = new ListingCursor(this.listingOf(owner)); cursor.next();) add(this.#rolesOfNew(cursor))
    this.wantedCounts.set(owner, wanted)
    this.structureCounts.set(owner, structure)
  }
}
