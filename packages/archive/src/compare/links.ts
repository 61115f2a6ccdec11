import { ENTRY_KINDS, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { ComparedDirectories } from './compared-directories.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison } from './comparison.ts'
import { FIRST_STORED_LINK, movedPlaces } from './moves.ts'
import type { Move } from './moves.ts'

/** Stored entries that a search looks at even for few bytes. */
const LEAST_SEARCHED = 20_000
/** Looking at a stored entry costs about as much as receiving this many bytes. */
const BYTES_PER_ENTRY = 64
/** Different files with the same low bits of their file ids that are distinguished; no honest client has more. */
const KEYS_MAX = 65_536

/** Names of one file that are all wanted. The content of the first is asked for. */
export interface LinkGroup {
  /** The numbers of their directories. */
  readonly owners: readonly number[]
  /** Their places in these. */
  readonly places: readonly number[]
}

/** The names of groups: all of them, or those for which no content is asked. */
export function * groupedNames (
  groups: readonly LinkGroup[], which: 'all' | 'further',
): Generator<{ readonly owner: number, readonly place: number }, void, undefined> {
  for (const { owners, places } of groups) {
    for (let at = which === 'all' ? 0 : 1; at < owners.length; at++) yield { owner: owners[at] ?? 0, place: places[at] ?? 0 }
  }
}

export interface Links {
  readonly groups: readonly LinkGroup[]
  /** Wanted names of files that are stored under other names, which they keep. */
  readonly stored: readonly Move[]
  /** Sum of the sizes of files for which no content is asked. */
  readonly bytes: number
}

export const NO_LINKED_FILES: Links = { groups: [], stored: [], bytes: 0 }

export interface LinksInit {
  readonly index: ArchiveIndex
  readonly area: string
  /** Wanted files whose content is stored under a path that lost it. */
  readonly moves: readonly Move[]
  /** Only files up to this mtime are searched among the stored ones: later ones were written since the last sync. */
  readonly storedUpToNs: bigint
  /** Whether each top directory of the area is a folder of its own, perhaps on another disk. */
  readonly hasFolders: boolean
}

/**
 * Finds wanted files that are further names of one file: with the same file id, size and mtime, in one folder. File ids are compared in a
 * sorted array of numbers, so that a million files without such names cost 16 MB for a moment, and no entry is decoded as a whole.
 */
export function findLinks (comparison: Comparison, init: LinksInit): Links {
  const names = new WantedNames(comparison.directories, { ...init, moved: movedPlaces(init.moves) })
  if (names.count === 0) return NO_LINKED_FILES
  const stored = new StoredNames(names, init).find()
  const linked = new Set(stored.map(({ at }) => at))
  const { groups, bytes } = groupNames(names, linked, init)
  const moves = stored.map(({ at, from }, i): Move => ({ how: 'linked', from, number: FIRST_STORED_LINK + i, ...names.move(at) }))
  return { groups, stored: moves, bytes: moves.reduce((sum, { directory, place }) => sum + directory.entry(place).sizeBytes(), bytes) }
}

interface NamesInit extends Pick<LinksInit, 'storedUpToNs'> {
  readonly moved: ReadonlyMap<number, ReadonlySet<number>>
}

/** The wanted files that may be further names, with the low bits of their file ids. */
class WantedNames {
  readonly #directories: ComparedDirectories
  count = 0
  /** Total size of those that may be stored under other names. */
  oldBytes = 0
  /** Bits of file ids, by name. */
  readonly #bits: Float64Array
  readonly #owners: Uint32Array
  readonly #places: Uint32Array
  /** By name, 1 if it may be stored under another name. */
  readonly #isOld: Uint8Array

  constructor (directories: ComparedDirectories, init: NamesInit) {
    this.#directories = directories
    let most = 0
    for (let owner = 0; owner < directories.length; owner++) most += directories.wantedCounts.at(owner)
    this.#bits = new Float64Array(most)
    this.#owners = new Uint32Array(most)
    this.#places = new Uint32Array(most)
    this.#isOld = new Uint8Array(most)
    for (const directory of directories) if (directory.wantedCount > 0) this.#add(directory, init)
  }

  #add (directory: ComparedDirectory, { moved, storedUpToNs }: NamesInit): void {
    const { owner, hasSpecialRoles } = directory
    const movedHere = moved.get(owner)
    for (const entry of directory.wantedFiles()) {
      const place = entry.index
      const bits = entry.fileIdBits()
      if (bits === 0 || entry.sizeBytes() === 0 || movedHere?.has(place) === true) continue
      if (hasSpecialRoles && directory.hasRole(place, 'alike')) continue
      this.#bits[this.count] = bits
      this.#owners[this.count] = owner
      this.#places[this.count] = place
      if (storedUpToNs > 0n && entry.mtimeNs() <= storedUpToNs) {
        this.#isOld[this.count] = 1
        this.oldBytes += entry.sizeBytes()
      }
      this.count++
    }
  }

  isOld (at: number): boolean {
    return this.#isOld[at] === 1
  }

  ownerAt (at: number): number {
    return this.#owners[at] ?? 0
  }

  placeAt (at: number): number {
    return this.#places[at] ?? 0
  }

  bitsAt (at: number): number {
    return this.#bits[at] ?? 0
  }

  entry (at: number): ListingCursor {
    return this.directory(at).entry(this.placeAt(at))
  }

  directory (at: number): ComparedDirectory {
    return this.#directories.at(this.ownerAt(at))
  }

  move (at: number): Pick<Move, 'directory' | 'place' | 'mode'> {
    return { directory: this.directory(at), place: this.placeAt(at), mode: this.entry(at).mode() }
  }

  /** The bits of all names, or of the old ones, sorted. */
  sorted (which: 'all' | 'old'): Float64Array {
    const bits = this.#bits.slice(0, this.count)
    return (which === 'all' ? bits : bits.filter((_, at) => this.isOld(at))).sort()
  }

  /** What the names of one file have in common. */
  key (at: number, hasFolders: boolean): string {
    return keyOf(this.entry(at), hasFolders ? folderOf(this.directory(at).directory) : ROOT_PATH)
  }
}

/** Groups names that are not linked to stored files. */
function groupNames (
  names: WantedNames, linked: ReadonlySet<number>, { hasFolders }: Pick<LinksInit, 'hasFolders'>,
): { readonly groups: LinkGroup[], readonly bytes: number } {
  const sorted = names.sorted('all')
  const repeated = sorted.filter((bits, i) => bits === sorted[i + 1] && bits !== sorted[i - 1])
  const groups: LinkGroup[] = []
  let bytes = 0
  if (repeated.length === 0) return { groups, bytes }
  const buckets = new Buckets(names, repeated)
  for (const bits of repeated) {
    const byKey = new Map<string, number[]>()
    for (const at of buckets.namesOf(bits)) {
      if (linked.has(at)) continue
      const key = names.key(at, hasFolders)
      const known = byKey.get(key)
      if (known !== undefined) known.push(at)
      else if (byKey.size < KEYS_MAX) byKey.set(key, [at])
    }
    for (const same of byKey.values()) {
      const [first] = same
      if (first === undefined || same.length === 1) continue
      groups.push({ owners: same.map(at => names.ownerAt(at)), places: same.map(at => names.placeAt(at)) })
      bytes += names.entry(first).sizeBytes() * (same.length - 1)
    }
  }
  return { groups, bytes }
}

/** The names by the bits of their file ids. */
class Buckets {
  readonly #bits: Float64Array
  /** The first name of each bucket, and for each name the next one of its bucket; -1 for none. */
  readonly #heads: Int32Array
  readonly #next: Int32Array

  /** @param bits the buckets, sorted and each once */
  constructor (names: WantedNames, bits: Float64Array) {
    this.#bits = bits
    this.#heads = new Int32Array(bits.length).fill(-1)
    this.#next = new Int32Array(names.count).fill(-1)
    for (let at = names.count - 1; at >= 0; at--) {
      const place = this.#placeOf(names.bitsAt(at))
      if (place === -1) continue
      this.#next[at] = this.#heads[place] ?? -1
      this.#heads[place] = at
    }
  }

  get isEmpty (): boolean {
    return this.#bits.length === 0
  }

  has (bits: number): boolean {
    return this.#placeOf(bits) !== -1
  }

  /** In the order of the names. */
  * namesOf (bits: number): Generator<number, void, undefined> {
    const place = this.#placeOf(bits)
    for (let at = place === -1 ? -1 : this.#heads[place] ?? -1; at !== -1; at = this.#next[at] ?? -1) yield at
  }

  #placeOf (wanted: number): number {
    let low = 0
    for (let high = this.#bits.length; low < high;) {
      const middle = (low + high) >>> 1
      if ((this.#bits[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return this.#bits[low] === wanted ? low : -1
  }
}

/** A wanted name, and the stored file that it is another name of. */
interface StoredName {
  readonly at: number
  readonly from: RelativePath
}

/**
 * Searches the stored files for names of wanted ones: in the directories of these, then in their folders, until the search has cost as
 * much as receiving them.
 */
class StoredNames {
  readonly #names: WantedNames
  readonly #init: LinksInit
  readonly #found = new Map<number, RelativePath>()
  #left = 0

  constructor (names: WantedNames, init: LinksInit) {
    this.#names = names
    this.#init = init
  }

  find (): StoredName[] {
    const { index, area, hasFolders } = this.#init
    const names = this.#names
    // A new area has nothing to search.
    if (names.oldBytes === 0 || index.listing({ area, directory: ROOT_PATH }) === undefined) return []
    this.#left = Math.max(LEAST_SEARCHED, names.oldBytes / BYTES_PER_ENTRY)
    const sorted = names.sorted('old')
    const due = new Buckets(names, sorted.filter((bits, i) => bits !== sorted[i - 1]))
    const searched = new Set<RelativePath>()
    for (let at = 0; at < names.count; at++) if (names.isOld(at)) searched.add(names.directory(at).directory)
    for (const directory of searched) this.#search(directory, due)
    const folders = new Set([...searched].map(folderOf))
    for (const { directory, files } of this.#left > 0 ? index.directories(area) : []) {
      if (--this.#left <= 0) break
      if (files > 0 && !searched.has(directory) && (!hasFolders || folders.has(folderOf(directory)))) this.#search(directory, due)
    }
    return [...this.#found].map(([at, from]) => ({ at, from })).sort((a, b) => a.at - b.at)
  }

  #search (directory: RelativePath, due: Buckets): void {
    const { index, area, hasFolders } = this.#init
    const listing = this.#left > 0 ? index.listing({ area, directory }) : undefined
    if (listing === undefined) return
    const folder = hasFolders ? folderOf(directory) : ROOT_PATH
    for (const cursor = new ListingCursor(listing); this.#left > 0 && cursor.next(); this.#left--) {
      if (cursor.kind !== ENTRY_KINDS.file || !due.has(cursor.fileIdBits())) continue
      const key = keyOf(cursor, folder)
      for (const at of due.namesOf(cursor.fileIdBits())) {
        this.#left--
        const isName = this.#names.isOld(at) && !this.#found.has(at) && this.#names.key(at, hasFolders) === key
        if (isName) this.#found.set(at, joinPath(directory, cursor.name()))
      }
    }
  }
}

function keyOf (file: ListingCursor, folder: RelativePath): string {
  return `${String(file.fileId())}:${String(file.sizeBytes())}:${String(file.mtimeNs())}:${folder}`
}

/** The top directory that a directory is in. */
function folderOf (directory: RelativePath): RelativePath {
  const at = directory.indexOf('/')
  return at === -1 ? directory : directory.slice(0, at) as RelativePath
}
