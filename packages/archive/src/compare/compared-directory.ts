import { ENTRY_KINDS, joinPath } from '@filesync/protocol'
import type { Entry, RelativePath } from '@filesync/protocol'
import type { SlabRange } from '../store/byte-slabs.ts'
import type { DirectoryState } from '../store/content-store.ts'
import { entryAt, entryOffsets, ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'

/** Indices of entries in a listing, ascending. */
export type Indices = readonly number[] | Uint32Array

/** Up to this many entries, a listing is walked again for each lookup, which costs less than keeping their offsets. */
const FEW_ENTRIES = 16
/** Up to this many indices take less memory in a plain array than in a typed one. */
const FEW_INDICES = 32
/** If fewer than one in this many entries is wanted, each is looked up. */
const SPARSE = 8
const NO_INDICES: readonly number[] = Object.freeze([])
const NO_ENTRIES: readonly Entry[] = Object.freeze([])
const NOTHING = new Uint8Array(0)

/** The differences of one listing, as they are found. */
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
 * One listing of the client, and how it differs from what is stored. There may be more than a million of these at once, most of them
 * small, so the memory that each takes beside its listing matters.
 */
export class ComparedDirectory {
  readonly number: number
  readonly directory: RelativePath
  /** Whether nothing of it is stored. */
  readonly isNew: boolean
  /** Files whose content is wanted. */
  wanted: Indices
  /** Of these, the files whose stored copy may have the content already. */
  alike: readonly number[]
  /** Directories, links, and files that differ only in metadata. */
  structure: Indices
  /** Of these, files with the same size and time but another file id. */
  readonly renumbered: readonly number[]
  /** Links that are recorded only in the index. */
  readonly indexOnly: readonly number[]
  /** Stored entries that the client no longer has. */
  readonly gone: readonly Entry[]
  /** The slab that holds the listing, and the listing's range in it. */
  #slab: Uint8Array
  #start: number
  #end: number
  #offsets: Uint32Array | undefined
  /** The directories of its structure, as a listing of their own; set when the listing was released. */
  #directories: Uint8Array | undefined

  constructor ({ number, directory, isNew, listing: { bytes, start, end }, ...found }: ComparedInit) {
    this.number = number
    this.directory = directory
    this.isNew = isNew
    this.wanted = packed(found.wanted)
    this.alike = exact(found.alike)
    this.structure = packed(found.structure ?? NO_INDICES)
    this.renumbered = exact(found.renumbered)
    this.indexOnly = exact(found.indexOnly)
    this.gone = found.gone === undefined || found.gone.length === 0 ? NO_ENTRIES : found.gone.slice()
    this.#slab = bytes
    this.#start = start
    this.#end = end
    this.#offsets = new ListingCursor(this.listing).count > FEW_ENTRIES ? entryOffsets(this.listing) : undefined
  }

  /** As the client sent it; empty after `releaseListing`. */
  get listing (): Uint8Array {
    return this.#end - this.#start === this.#slab.length ? this.#slab : this.#slab.subarray(this.#start, this.#end)
  }

  /** Number of entries in the listing. */
  get count (): number {
    return this.#offsets === undefined ? new ListingCursor(this.listing).count : this.#offsets.length - 1
  }

  /** The offset of an entry in the listing; undefined if the listing was released. */
  startOf (index: number): number | undefined {
    if (this.#offsets !== undefined) return index < this.#offsets.length - 1 ? this.#offsets[index] : undefined
    const cursor = new ListingCursor(this.listing)
    while (cursor.index < index) if (!cursor.next()) return undefined
    return cursor.start
  }

  /** The entry at an index. */
  entry (index: number): ListingCursor {
    return entryAt(this.listing, this.startOf(index) ?? 0)
  }

  /** Drops wanted files for which `keep` is false. */
  keepWanted (keep: (index: number) => boolean): void {
    const kept: number[] = []
    for (const index of this.wanted) if (keep(index)) kept.push(index)
    if (kept.length < this.wanted.length) this.wanted = packed(kept)
  }

  /** Moves files from the structure to the wanted ones whose content may be here already. */
  recheck (indices: readonly number[]): void {
    const rechecked = new Set(indices)
    this.structure = packed(Array.from(this.structure).filter(index => !rechecked.has(index)))
    this.wanted = packed([...this.wanted, ...rechecked].sort((a, b) => a - b))
    this.alike = [...this.alike, ...rechecked]
  }

  /** Cursors at its wanted files, in order; each is valid until the next one. */
  * wantedFiles (): Generator<ListingCursor, void, undefined> {
    const { wanted, listing } = this
    if (wanted.length * SPARSE < this.count) {
      for (const index of wanted) yield Object.assign(this.entry(index), { index })
      return
    }
    const cursor = new ListingCursor(listing)
    for (const index of wanted) {
      while (cursor.index < index) cursor.next()
      yield cursor
    }
  }

  /** The bytes of the entries at these indices, which are ascending. */
  * entriesAt (indices: Iterable<number>): Generator<Uint8Array, void, undefined> {
    const { listing } = this
    const offsets = this.#offsets ?? entryOffsets(listing)
    for (const index of indices) yield listing.subarray(offsets[index], offsets[index + 1])
  }

  /** Times and modes of its new and changed directories, as the client has them. */
  * states (): Generator<DirectoryState, void, undefined> {
    if (this.#directories !== undefined) {
      for (const cursor = new ListingCursor(this.#directories); cursor.next();) yield stateAt(this.directory, cursor)
      return
    }
    if (this.structure.length === 0) return
    for (const entry of this.entriesAt(this.structure)) {
      const cursor = entryAt(entry, 0)
      if (cursor.kind === ENTRY_KINDS.directory) yield stateAt(this.directory, cursor)
    }
  }

  /** Frees the listing, which is in the index now; keeps what `states` needs. */
  releaseListing (): void {
    if (this.structure.length > 0) {
      const builder = new ListingBuilder()
      let count = 0
      for (const entry of this.entriesAt(this.structure)) {
        if (entryAt(entry, 0).kind !== ENTRY_KINDS.directory) continue
        builder.add(entry)
        count++
      }
      this.#directories = count === 0 ? NOTHING : builder.finish()
    }
    this.#slab = NOTHING
    this.#start = this.#end = 0
    this.#offsets = undefined
  }
}

function stateAt (directory: RelativePath, cursor: ListingCursor): DirectoryState {
  return { directory: joinPath(directory, cursor.name()), mtimeNs: cursor.mtimeNs(), mode: cursor.mode() }
}

// An array that grew element by element has spare capacity; a copy has none.
function packed (indices: readonly number[]): Indices {
  return indices.length > FEW_INDICES ? Uint32Array.from(indices) : exact(indices)
}

function exact (indices: readonly number[] | undefined): readonly number[] {
  return indices === undefined || indices.length === 0 ? NO_INDICES : indices.slice()
}
