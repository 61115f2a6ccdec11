import { compareNames, DIGEST_BYTES, encodeListing, ENTRY_KINDS, joinPath, readListing, splitPath } from '@filesync/protocol'
import type { Digest, Entry, Name, RelativePath } from '@filesync/protocol'
import type { FoundEntry, Scratch } from '../store/content-store.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { mergeListings } from '../store/merge-listings.ts'
import { ScratchBlocks } from './scratch-blocks.ts'

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

/** Some files and links of a directory, in name order. */
export interface PackedPart {
  readonly listing: Uint8Array
  /** For each entry its digest; zero if it is not known. */
  readonly digests: Uint8Array
  /** For each entry its folder in versions, or undefined for the mirror; absent if all are in the mirror. */
  readonly folders: readonly (string | undefined)[] | undefined
}

/** Where a part is. */
interface StoredPart {
  readonly firstName: Name
  /** Numbers of its blocks: listing, digests, and for each entry 0 for the mirror, else 1 plus the position of its folder. */
  readonly listing: number
  readonly digests: number
  readonly folders: number | undefined
}

/** The files and links of one directory. */
interface PackedDirectory {
  /** Each run is in name order as a whole. */
  readonly runs: readonly (readonly StoredPart[])[]
  /** Entries that no listing can hold, because they were put there by hand. */
  readonly unlisted: readonly PastEntry[]
}

/** The most entries of one part. */
const PART_ENTRIES = 4096

/**
 * Files and links of a past state. They take about as much memory as their listings and digests, and much less if there is a scratch file:
 * then only the directories are in memory.
 */
export class PackedState {
  readonly #directories = new Map<RelativePath, PackedDirectory>()
  readonly #blocks: ScratchBlocks
  readonly #folders: string[] = []
  readonly #folderNumbers = new Map<string, number>()
  /** The part that was read last. Lookups come nearly in the order of the listings. */
  #lastPart: { readonly stored: StoredPart, readonly part: PackedPart } | undefined
  /** Where the last lookup ended. */
  #last: { readonly stored: StoredPart, readonly cursor: ListingCursor } | undefined
  #count = 0
  #bytes = 0

  /**
   * @param openScratch opens a file for what is too much for memory; by default everything stays in memory
   * @param inMemoryBytes how much is kept in memory if there is a file
   */
  constructor (openScratch?: () => Scratch | undefined, inMemoryBytes?: number) {
    this.#blocks = new ScratchBlocks(openScratch, inMemoryBytes)
  }

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
    this.#clear(directory)
    this.add(directory, entries)
  }

  /** Adds files and links to a directory. */
  add (directory: RelativePath, entries: readonly PastEntry[]): void {
    if (entries.length === 0) return
    for (const { entry, found } of entries) this.#account(entry ?? found, 1)
    const listed = entries.flatMap(one => one.entry === undefined ? [] : [{ ...one, entry: one.entry }])
      .sort((a, b) => compareNames(a.entry.name, b.entry.name))
    const parts: StoredPart[] = []
    for (let at = 0; at < listed.length; at += PART_ENTRIES) {
      const some = listed.slice(at, at + PART_ENTRIES)
      const digests = new Uint8Array(some.length * DIGEST_BYTES)
      some.forEach(({ digest }, i) => { if (digest !== undefined) digests.set(digest, i * DIGEST_BYTES) })
      const folders = some.some(({ folder }) => folder !== undefined)
        ? Uint32Array.from(some, ({ folder }) => this.#numberOf(folder))
        : undefined
      parts.push(this.#write(encodeListing(some.map(({ entry }) => entry)), digests, folders))
    }
    this.#append(directory, parts, entries.filter(({ entry }) => entry === undefined))
  }

  /**
   * Adds files of the mirror to a directory.
   *
   * @param listing their entries, without directories
   * @param digests the digest of each
   */
  addListed (directory: RelativePath, listing: Uint8Array, digests: Uint8Array): void {
    const cursor = new ListingCursor(listing)
    if (cursor.count === 0) return
    const parts: StoredPart[] = []
    let builder = new ListingBuilder()
    let from = 0
    while (cursor.next()) {
      this.#count++
      if (cursor.kind === ENTRY_KINDS.file) this.#bytes += cursor.sizeBytes()
      builder.add(listing.subarray(cursor.start, cursor.end))
      if (cursor.index + 1 - from < PART_ENTRIES && cursor.index + 1 < cursor.count) continue
      const end = cursor.index + 1
      parts.push(this.#write(builder.finish(), digests.subarray(from * DIGEST_BYTES, end * DIGEST_BYTES), undefined))
      builder = new ListingBuilder()
      from = end
    }
    this.#append(directory, parts, [])
  }

  /** Directories that hold files or links. */
  filled (): Iterable<RelativePath> {
    return this.#directories.keys()
  }

  has (directory: RelativePath): boolean {
    return this.#directories.has(directory)
  }

  /** The files and links of a directory that listings hold, some at a time. Those of one part are in name order. */
  * parts (directory: RelativePath): Generator<PackedPart, void, undefined> {
    for (const run of this.#directories.get(directory)?.runs ?? []) for (const stored of run) yield this.#read(stored)
  }

  /** The files and links of a directory as a listing; undefined if it has none. */
  listing (directory: RelativePath): Uint8Array | undefined {
    const packed = this.#directories.get(directory)
    if (packed === undefined) return undefined
    return mergeListings(packed.runs.map(run => this.#join(run)))
  }

  /** Entries of a directory that are in no listing. */
  unlisted (directory: RelativePath): readonly PastEntry[] {
    return this.#directories.get(directory)?.unlisted ?? []
  }

  /** The files and links of a directory: those that listings hold, and then the others. */
  * in (directory: RelativePath): Generator<PastEntry, void, undefined> {
    for (const part of this.parts(directory)) {
      let at = 0
      for (const entry of readListing(part.listing)) yield unpack(part, directory, { entry, at: at++ })
    }
    yield * this.unlisted(directory)
  }

  /** The file or link at a path. */
  find (path: RelativePath): PastEntry | undefined {
    const { directory, name } = splitPath(path)
    const packed = this.#directories.get(directory)
    if (packed === undefined) return undefined
    const wanted = new TextEncoder().encode(name)
    for (const stored of packed.runs.flat()) {
      if (compareNames(stored.firstName, name) > 0) continue
      const cursor = this.#find(stored, wanted)
      const part = this.#read(stored)
      if (cursor !== undefined) return unpack(part, directory, { entry: entryOf(part.listing, cursor), at: cursor.index })
    }
    return packed.unlisted.find(one => one.path === path)
  }

  /** Removes what is on the disk. Call it when nothing is read any more. */
  close (): void {
    this.#blocks.close()
  }

  #join (run: readonly StoredPart[]): Uint8Array {
    const [first, ...others] = run
    if (first !== undefined && others.length === 0) return this.#read(first).listing
    const builder = new ListingBuilder()
    for (const stored of run) {
      const { listing } = this.#read(stored)
      for (const cursor = new ListingCursor(listing); cursor.next();) builder.add(listing.subarray(cursor.start, cursor.end))
    }
    return builder.finish()
  }

  #find (stored: StoredPart, wanted: Uint8Array): ListingCursor | undefined {
    const resumed = this.#last?.stored === stored && !this.#last.cursor.isDone ? this.#last.cursor : undefined
    // From where the last lookup ended to the end, and then from the start.
    for (const cursor of [resumed, new ListingCursor(this.#read(stored).listing)]) {
      while (cursor?.next() === true) {
        if (!cursor.isNamed(wanted)) continue
        this.#last = { stored, cursor }
        return cursor
      }
    }
    this.#last = undefined
    return undefined
  }

  #clear (directory: RelativePath): void {
    this.#last = undefined
    for (const { entry, found } of this.in(directory)) this.#account(entry ?? found, -1)
    this.#directories.delete(directory)
  }

  #append (directory: RelativePath, parts: readonly StoredPart[], unlisted: readonly PastEntry[]): void {
    const known = this.#directories.get(directory)
    const runs = parts.length === 0 ? [] : [parts]
    this.#directories.set(directory, known === undefined
      ? { runs, unlisted }
      : { runs: [...known.runs, ...runs], unlisted: [...known.unlisted, ...unlisted] })
  }

  #write (listing: Uint8Array, digests: Uint8Array, folders: Uint32Array | undefined): StoredPart {
    const first = new ListingCursor(listing)
    first.next()
    return {
      firstName: first.name(),
      listing: this.#blocks.write(listing),
      digests: this.#blocks.write(digests),
      folders: folders && this.#blocks.write(new Uint8Array(folders.buffer)),
    }
  }

  #read (stored: StoredPart): PackedPart {
    if (this.#lastPart?.stored === stored) return this.#lastPart.part
    const numbers = stored.folders === undefined ? undefined : new Uint32Array(this.#blocks.read(stored.folders).slice().buffer)
    const part: PackedPart = {
      listing: this.#blocks.read(stored.listing),
      digests: this.#blocks.read(stored.digests),
      folders: numbers && Array.from(numbers, number => number === 0 ? undefined : this.#folders[number - 1]),
    }
    this.#lastPart = { stored, part }
    return part
  }

  #numberOf (folder: string | undefined): number {
    if (folder === undefined) return 0
    const known = this.#folderNumbers.get(folder)
    if (known !== undefined) return known
    this.#folders.push(folder)
    this.#folderNumbers.set(folder, this.#folders.length)
    return this.#folders.length
  }

  #account (there: Entry | FoundEntry | undefined, sign: 1 | -1): void {
    this.#count += sign
    if (there?.kind === 'file') this.#bytes += sign * there.sizeBytes
  }
}

function unpack (
  { digests, folders }: PackedPart, directory: RelativePath, { entry, at }: { readonly entry: Entry, readonly at: number },
): PastEntry {
  const digest = digests.slice(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES) as Digest
  return {
    path: joinPath(directory, entry.name),
    folder: folders?.[at],
    entry,
    digest: digest.every(byte => byte === 0) ? undefined : digest,
    found: undefined,
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
