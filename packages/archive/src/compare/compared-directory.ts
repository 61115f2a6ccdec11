import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { Entry, RelativePath } from '@filesync/protocol'
import type { SlabRange } from '../store/byte-slabs.ts'
import type { DirectoryState } from '../store/content-store.ts'
import { entryAt, entryOffsets, ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'

/** Places of entries in a listing, in its order. */
export type Places = readonly number[] | Uint32Array

/** A listing of so few entries is walked again for each of them, which takes less than to remember where they start. */
const FEW_ENTRIES = 16
/** So few places take less in an array of the engine's own. */
const FEW_PLACES = 32
const NO_PLACES: readonly number[] = Object.freeze([])
const NO_ENTRIES: readonly Entry[] = Object.freeze([])
const NOTHING = new Uint8Array(0)

/** What of one listing differs, as it is found. */
interface Differences {
  readonly wanted: readonly number[]
  readonly alike?: readonly number[]
  readonly structure?: readonly number[]
  readonly renumbered?: readonly number[]
  readonly indexOnly?: readonly number[]
  readonly gone?: readonly Entry[]
}

export interface ComparedInit extends Differences {
  readonly number: number
  readonly directory: RelativePath
  readonly isNew: boolean
  readonly listing: SlabRange
}

/**
 * One listing of the client, and what of it differs from what is stored. There may be more than a million of them at once,
 * most of them small, so that what one takes in memory beside its listing counts.
 */
export class ComparedDirectory {
  readonly number: number
  readonly directory: RelativePath
  /** Whether nothing is stored of it. */
  readonly isNew: boolean
  /** Places of files whose content is wanted. */
  wanted: Places
  /** Those of them of which the stored copy may have the content already. */
  alike: readonly number[]
  /** Places of directories, links, and files of which only the metadata differs, in the order of the listing. */
  structure: Places
  /** Those of them that are files of the same size and time but another file id. */
  readonly renumbered: readonly number[]
  /** Places of links that are kept in the index only. */
  readonly indexOnly: readonly number[]
  readonly gone: readonly Entry[]
  #held: Uint8Array
  #start: number
  #end: number
  #offsets: Uint32Array | undefined
  /** Directories in its structure, as a listing of their own: set when the listing was let go. */
  #claims: Uint8Array | undefined

  constructor ({ number, directory, isNew, listing: { bytes, start, end }, ...found }: ComparedInit) {
    this.number = number
    this.directory = directory
    this.isNew = isNew
    this.wanted = packed(found.wanted)
    this.alike = exact(found.alike)
    this.structure = packed(found.structure ?? NO_PLACES)
    this.renumbered = exact(found.renumbered)
    this.indexOnly = exact(found.indexOnly)
    this.gone = found.gone === undefined || found.gone.length === 0 ? NO_ENTRIES : found.gone.slice()
    this.#held = bytes
    this.#start = start
    this.#end = end
    this.#offsets = new ListingCursor(this.listing).count > FEW_ENTRIES ? entryOffsets(this.listing) : undefined
  }

  /** As the client has it; empty when the index has it too and nothing more is asked of it. */
  get listing (): Uint8Array {
    return this.#end - this.#start === this.#held.length ? this.#held : this.#held.subarray(this.#start, this.#end)
  }

  /** Number of all entries of the listing. */
  get count (): number {
    return this.#offsets === undefined ? new ListingCursor(this.listing).count : this.#offsets.length - 1
  }

  /** Where the entry at a place starts in the listing; undefined where there is none any more. */
  startOf (index: number): number | undefined {
    if (this.#offsets !== undefined) return index < this.#offsets.length - 1 ? this.#offsets[index] : undefined
    const cursor = new ListingCursor(this.listing)
    while (cursor.index < index) if (!cursor.next()) return undefined
    return cursor.start
  }

  /** The entry at a place. */
  entry (index: number): ListingCursor {
    return entryAt(this.listing, this.startOf(index) ?? 0)
  }

  /** Wants those of the files no more that are not to be kept. */
  keepWanted (keep: (index: number) => boolean): void {
    const kept: number[] = []
    for (const index of this.wanted) if (keep(index)) kept.push(index)
    if (kept.length < this.wanted.length) this.wanted = packed(kept)
  }

  /** Wants the content of files of its structure, which may be here already. */
  recheck (indices: readonly number[]): void {
    const doubted = new Set(indices)
    this.structure = packed(Array.from(this.structure).filter(index => !doubted.has(index)))
    this.wanted = packed([...this.wanted, ...doubted].sort((a, b) => a - b))
    this.alike = [...this.alike, ...doubted]
  }

  /** The bytes of the entries at some places, which rise. */
  * entriesAt (indices: Iterable<number>): Generator<Uint8Array, void, undefined> {
    const { listing } = this
    const offsets = this.#offsets ?? entryOffsets(listing)
    for (const index of indices) yield listing.subarray(offsets[index], offsets[index + 1])
  }

  /** Times and modes of the directories in it that are new, or changed, as the client has them. */
  * states (): Generator<DirectoryState, void, undefined> {
    if (this.#claims !== undefined) {
      for (const cursor = new ListingCursor(this.#claims); cursor.next();) yield stateAt(this.directory, cursor)
      return
    }
    if (this.structure.length === 0) return
    for (const entry of this.entriesAt(this.structure)) {
      const cursor = entryAt(entry, 0)
      if (cursor.kind === ENTRY_KINDS.directory) yield stateAt(this.directory, cursor)
    }
  }

  /** Lets the listing go, which is in the index and of no more use; what `states` tells is kept. */
  releaseListing (): void {
    if (this.structure.length > 0) {
      const builder = new ListingBuilder()
      let claims = 0
      for (const entry of this.entriesAt(this.structure)) {
        if (entryAt(entry, 0).kind !== ENTRY_KINDS.directory) continue
        builder.add(entry)
        claims++
      }
      this.#claims = claims === 0 ? NOTHING : builder.finish()
    }
    this.#held = NOTHING
    this.#start = this.#end = 0
    this.#offsets = undefined
  }
}

function stateAt (directory: RelativePath, cursor: ListingCursor): DirectoryState {
  return { directory: joinPath(directory, cursor.name()), mtimeNs: cursor.mtimeNs(), mode: cursor.mode() }
}

// An array that grew by one at a time has room for many more.
function packed (places: readonly number[]): Places {
  return places.length > FEW_PLACES ? Uint32Array.from(places) : exact(places)
}

function exact (places: readonly number[] | undefined): readonly number[] {
  return places === undefined || places.length === 0 ? NO_PLACES : places.slice()
}
