import { compareNames, DIGEST_BYTES, encodeListing, joinPath, readListing, splitPath } from '@filesync/protocol'
import type { Digest, Entry, RelativePath } from '@filesync/protocol'
import type { FoundEntry } from '../store/content-store.ts'
import { ListingCursor } from '../store/listing-cursor.ts'

/** A file or link of a past state. */
export interface PastEntry {
  readonly path: RelativePath
  /** The folder in versions with its content; undefined for the mirror. */
  readonly folder: string | undefined
  /** The entry as stored; undefined if it was never in the index. */
  readonly entry: Entry | undefined
  /** The digest as stored; undefined if it is not a file or not known. */
  readonly digest: Digest | undefined
  /** The entry as found on the store, if it was never in the index. */
  readonly found: FoundEntry | undefined
}

/** The files and links of one directory, in name order. */
interface PackedDirectory {
  readonly listing: Uint8Array
  /** For each entry its digest; zero if it is not known. */
  readonly digests: Uint8Array
  /** For each entry 0 for the mirror, else 1 plus the position of its folder in versions in `PackedState.#folders`. */
  readonly folders: Uint32Array
  /** Entries that no listing can hold, because they were put there by hand. */
  readonly unlisted: readonly PastEntry[]
}

/** Files and links of a past state, in about as much memory as their listings and digests take. */
export class PackedState {
  readonly #directories = new Map<RelativePath, PackedDirectory>()
  readonly #folders: string[] = []
  readonly #folderNumbers = new Map<string, number>()
  /** Where the last lookup ended. Lookups come nearly in the order of the listings. */
  #last: { readonly directory: RelativePath, readonly cursor: ListingCursor } | undefined
  #count = 0
  #bytes = 0

  /** Number of files and links. */
  get count (): number {
    return this.#count
  }

  /** Total size of the files. */
  get bytes (): number {
    return this.#bytes
  }

  /** Sets the files and links of a directory. */
  set (directory: RelativePath, entries: readonly PastEntry[]): void {
    this.#last = undefined
    for (const old of this.in(directory)) this.#account(old, -1)
    if (entries.length === 0) {
      this.#directories.delete(directory)
      return
    }
    for (const entry of entries) this.#account(entry, 1)
    const listed = entries.flatMap(one => one.entry === undefined ? [] : [{ ...one, entry: one.entry }])
      .sort((a, b) => compareNames(a.entry.name, b.entry.name))
    const digests = new Uint8Array(listed.length * DIGEST_BYTES)
    listed.forEach(({ digest }, at) => { if (digest !== undefined) digests.set(digest, at * DIGEST_BYTES) })
    this.#directories.set(directory, {
      listing: encodeListing(listed.map(({ entry }) => entry)),
      digests,
      folders: Uint32Array.from(listed, ({ folder }) => this.#numberOf(folder)),
      unlisted: entries.filter(({ entry }) => entry === undefined),
    })
  }

  /** Directories that hold files or links. */
  filled (): Iterable<RelativePath> {
    return this.#directories.keys()
  }

  has (directory: RelativePath): boolean {
    return this.#directories.has(directory)
  }

  /** The files and links of a directory as a listing; undefined if it has none. */
  listing (directory: RelativePath): Uint8Array | undefined {
    return this.#directories.get(directory)?.listing
  }

  /** Entries of a directory that are in no listing. */
  unlisted (directory: RelativePath): readonly PastEntry[] {
    return this.#directories.get(directory)?.unlisted ?? []
  }

  /** The files and links of a directory, in name order, and then those that are in no listing. */
  * in (directory: RelativePath): Generator<PastEntry, void, undefined> {
    const packed = this.#directories.get(directory)
    if (packed === undefined) return
    let at = 0
    for (const entry of readListing(packed.listing)) yield this.#unpack(packed, directory, { entry, at: at++ })
    yield * packed.unlisted
  }

  /** The file or link at a path. */
  find (path: RelativePath): PastEntry | undefined {
    const { directory, name } = splitPath(path)
    const packed = this.#directories.get(directory)
    if (packed === undefined) return undefined
    const wanted = new TextEncoder().encode(name)
    const resumed = this.#last?.directory === directory ? this.#last.cursor : undefined
    const cursor = resumed === undefined || resumed.isDone ? new ListingCursor(packed.listing) : resumed
    // From where the last lookup ended to the end, and then from the start.
    for (let left = packed.folders.length; left > 0; left--) {
      if (!cursor.next()) {
        this.#last = undefined
        return this.#findFromStart(packed, directory, wanted) ?? packed.unlisted.find(one => one.path === path)
      }
      if (cursor.isNamed(wanted)) {
        this.#last = { directory, cursor }
        return this.#unpack(packed, directory, { entry: entryOf(packed.listing, cursor), at: cursor.index })
      }
    }
    return this.#findFromStart(packed, directory, wanted) ?? packed.unlisted.find(one => one.path === path)
  }

  #findFromStart (packed: PackedDirectory, directory: RelativePath, wanted: Uint8Array): PastEntry | undefined {
    const cursor = new ListingCursor(packed.listing)
    while (cursor.next()) {
      if (!cursor.isNamed(wanted)) continue
      this.#last = { directory, cursor }
      return this.#unpack(packed, directory, { entry: entryOf(packed.listing, cursor), at: cursor.index })
    }
    return undefined
  }

  #unpack (packed: PackedDirectory, directory: RelativePath, { entry, at }: { readonly entry: Entry, readonly at: number }): PastEntry {
    const number = packed.folders[at] ?? 0
    const digest = packed.digests.slice(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES) as Digest
    return {
      path: joinPath(directory, entry.name),
      folder: number === 0 ? undefined : this.#folders[number - 1],
      entry,
      digest: digest.every(byte => byte === 0) ? undefined : digest,
      found: undefined,
    }
  }

  #numberOf (folder: string | undefined): number {
    if (folder === undefined) return 0
    const known = this.#folderNumbers.get(folder)
    if (known !== undefined) return known
    this.#folders.push(folder)
    this.#folderNumbers.set(folder, this.#folders.length)
    return this.#folders.length
  }

  #account ({ entry, found }: PastEntry, sign: 1 | -1): void {
    const there = entry ?? found
    this.#count += sign
    if (there?.kind === 'file') this.#bytes += sign * there.sizeBytes
  }
}

function entryOf (listing: Uint8Array, cursor: ListingCursor): Entry {
  const single = new Uint8Array(1 + cursor.end - cursor.start)
  single[0] = 0x91
  single.set(listing.subarray(cursor.start, cursor.end), 1)
  const [entry] = readListing(single)
  if (entry === undefined) throw new RangeError('A listing has no entry at its cursor.')
  return entry
}
