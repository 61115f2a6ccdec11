import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { Digest, EntryReference, Name, RelativePath } from '@filesync/protocol'
import type { DirectoryState } from '../store/content-store.ts'
import { entryAt, entryOffsets, ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import type { ComparedDirectories } from './compared-directories.ts'
import { ROLES } from './roles.ts'
import type { Role } from './roles.ts'

const NOTHING = new Uint8Array(0)

/**
 * One directory of the client, and how it differs from what is stored: a view of a row of `ComparedDirectories`. Its entries are those that
 * differ, in name order, and are numbered by their places among these.
 */
export class ComparedDirectory {
  /** Its number among the compared directories. */
  readonly owner: number
  readonly #all: ComparedDirectories

  constructor (all: ComparedDirectories, owner: number) {
    this.#all = all
    this.owner = owner
  }

  get directory (): RelativePath {
    return this.#all.paths.at(this.owner)
  }

  /** Whether nothing of it is stored. */
  get isNew (): boolean {
    return this.#all.isNew(this.owner)
  }

  /** Whether its listing was released. */
  get isReleased (): boolean {
    return this.#all.isReleased(this.owner)
  }

  /** How many files are wanted. */
  get wantedCount (): number {
    return this.#all.wantedCounts.at(this.owner)
  }

  /** How many entries are directories, links, or files that differ only in metadata. */
  get structureCount (): number {
    return this.#all.structureCounts.at(this.owner)
  }

  /** Names of stored entries that the client no longer has. */
  get gone (): readonly Name[] {
    return this.#all.goneOf(this.owner)
  }

  /** The entries that differ, encoded as a listing; empty after `releaseListing`. */
  get listing (): Uint8Array {
    return this.#all.listingOf(this.owner)
  }

  /** Digest of the client's directory; undefined if it came as one listing and all its entries differ. */
  get digest (): Digest | undefined {
    return this.#all.digestOf(this.owner)
  }

  /** The listing that has an entry, as the client sent it, and the index of the entry in that. */
  reference (place: number): EntryReference {
    return this.#all.reference(this.owner, place)
  }

  /** The offset of an entry in the listing; undefined if the listing was released. */
  startOf (place: number): number | undefined {
    return this.#all.startOf(this.owner, place)
  }

  /** The entry at a place. */
  entry (place: number): ListingCursor {
    return entryAt(this.listing, this.startOf(place) ?? 0)
  }

  /** The place of the n-th wanted file; undefined if there are fewer, or if the listing was released. */
  wantedAt (n: number): number | undefined {
    return this.#all.wantedAt(this.owner, n)
  }

  /** How many wanted files come before the one at a place; undefined if that is not wanted. */
  wantedBefore (place: number): number | undefined {
    return this.#all.wantedBefore(this.owner, place)
  }

  /** The places of entries that have a role. */
  * placesOf (role: Role): Generator<number, void, undefined> {
    const roles = this.#all.rolesOf(this.owner)
    for (const [place, bits] of roles.entries()) if ((bits & ROLES[role]) !== 0) yield place
  }

  /** Whether the entry at a place has a role. */
  hasRole (place: number, role: Role): boolean {
    return (this.#all.roleAt(this.owner, place) & ROLES[role]) !== 0
  }

  /** Whether any entry has a role other than those that every new entry has. */
  get hasSpecialRoles (): boolean {
    return this.#all.hasRoles(this.owner)
  }

  /** Cursors at its wanted files, in order; each is valid until the next one. */
  * wantedFiles (): Generator<ListingCursor, void, undefined> {
    const roles = this.#all.hasRoles(this.owner) ? this.#all.rolesOf(this.owner) : undefined
    for (const cursor = new ListingCursor(this.listing); cursor.next();) {
      const isWanted = roles === undefined ? cursor.kind === ENTRY_KINDS.file : ((roles[cursor.index] ?? 0) & ROLES.wanted) !== 0
      if (isWanted) yield cursor
    }
  }

  /** Drops wanted files for which `keep` is false. */
  keepWanted (keep: (place: number) => boolean): void {
    this.#all.changeRoles(this.owner, (bits, place) => (bits & ROLES.wanted) !== 0 && !keep(place) ? 0 : bits)
  }

  /** Moves the renumbered files from the structure to the wanted ones whose content may be here already. */
  recheck (): void {
    this.#all.changeRoles(this.owner, bits => (bits & ROLES.renumbered) === 0 ? bits : ROLES.wanted | ROLES.alike)
  }

  /** The bytes of the entries at these places, which are ascending. */
  * entriesAt (places: Iterable<number>): Generator<Uint8Array, void, undefined> {
    const { listing } = this
    const offsets = this.#all.offsetsOf(this.owner) ?? entryOffsets(listing)
    for (const place of places) yield listing.subarray(offsets[place], offsets[place + 1])
  }

  /** Times and modes of its new and changed directories, as the client has them. */
  * states (): Generator<DirectoryState, void, undefined> {
    const { directory } = this
    for (const cursor = new ListingCursor(this.#all.directoriesIn(this.owner)); cursor.next();) {
      if (cursor.kind !== ENTRY_KINDS.directory) continue
      yield { directory: joinPath(directory, cursor.name()), mtimeNs: cursor.mtimeNs(), mode: cursor.mode() }
    }
  }

  /** Frees the listing, which is in the index now; keeps what `states` needs. */
  releaseListing (): void {
    this.#all.release(this.owner)
  }
}

/** The directories of a listing, as a listing; the listing itself if there is nothing else. */
export function onlyDirectories (listing: Uint8Array): Uint8Array {
  const builder = new ListingBuilder()
  let directories = 0
  const cursor = new ListingCursor(listing)
  while (cursor.next()) {
    if (cursor.kind !== ENTRY_KINDS.directory) continue
    builder.add(listing.subarray(cursor.start, cursor.end))
    directories++
  }
  return directories === cursor.count ? listing : directories === 0 ? NOTHING : builder.finish()
}
