import { compareListings, foldKey, joinPath, ListingReader, pathDepth, problem, ProblemList, readListing } from '@filesync/protocol'
import type { ArrivedListing, Difference, Digest, DirectoryEntry, Entry, FileEntry, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { StoreTraits } from './content-store.ts'
import { entryOffsets } from './listing-cursor.ts'
import { isUnknown } from './mirror-check.ts'
import { isRebuiltTwin, judgeNames, mayBeTwin, staysInside } from './names.ts'

/** One listing of the client, and what of it differs from what is stored. */
export interface ComparedDirectory {
  readonly number: number
  readonly directory: RelativePath
  /** Whether nothing is stored of it. */
  readonly isNew: boolean
  /** As the client has it; empty when the index has it too and nothing more is asked of it. */
  listing: Uint8Array
  offsets: Uint32Array
  /** Places of files whose content is wanted. */
  wanted: Uint32Array
  /** Those of them of which the stored copy may have the content already. */
  readonly alike: number[]
  /** Places of directories, links, and files of which only the metadata differs, in the order of the listing. */
  structure: number[]
  /** Those of them that are files of the same size and time but another identity. */
  readonly renumbered: number[]
  /** Places of links that are kept in the index only. */
  readonly indexOnly: number[]
  readonly gone: Entry[]
}

/** As it grows while its listing is walked. */
type Growing = Omit<ComparedDirectory, 'wanted'> & { readonly wanted: number[] }

/** A stored file whose content does not belong to its path any more. */
export interface Displaced {
  readonly path: RelativePath
  readonly entry: FileEntry
  /** `replaced`: the path has another content now. `gone`: it has none. `lost`: its place is taken by another kind of thing. */
  readonly how: 'replaced' | 'gone' | 'lost'
}

/** What the client says of a directory. */
export interface DirectoryClaim {
  readonly digest: Digest
  readonly mtimeNs: bigint
  readonly mode: number
}

/** Compares the client's listings with the stored ones as they arrive. Pure but for reading the index. */
export class Comparison {
  readonly directories: ComparedDirectory[] = []
  readonly claims: Map<RelativePath, DirectoryClaim> = new Map()
  readonly problems: ProblemList = new ProblemList()
  displaced: Displaced[] = []
  /** Names that have to make way before anything is placed. */
  readonly evicted: { readonly directory: RelativePath, readonly name: string }[] = []
  /** Files of the same size and time as stored, but of another identity, as they are stored. */
  readonly renumbered: Displaced[] = []
  /** Entries of the listings that differ which are as they are stored to the last bit, and so of the same identity. */
  steady: number = 0
  wantedBytes: number = 0
  readonly #index: ArchiveIndex
  readonly #area: string
  readonly #traits: StoreTraits

  constructor (index: ArchiveIndex, area: string, traits: StoreTraits) {
    this.#index = index
    this.#area = area
    this.#traits = traits
  }

  /** Takes in one listing. Yields the directories whose listings are to be asked for. */
  * add (arrived: ArrivedListing): Generator<{ readonly index: number, readonly entry: DirectoryEntry }, void, undefined> {
    const { directory, bytes } = arrived
    const committed = this.#index.listing({ area: this.#area, directory })
    const refusalOf = judgeNames(directory, bytes, this.#traits)
    const compared: Growing = {
      number: arrived.number, directory, isNew: committed === undefined, listing: bytes, offsets: new Uint32Array(0), wanted: [], alike: [], structure: [], renumbered: [], indexOnly: [], gone: [],
    }
    const differences = committed === undefined && refusalOf === undefined ? this.#takeNew(compared, bytes) : compareListings(committed, bytes)
    let differing = 0
    for (const difference of differences) {
      if (difference.how === 'gone') {
        compared.gone.push(difference.committed)
        this.#displace(directory, difference.committed, 'gone')
        continue
      }
      differing++
      const { entry, index } = difference
      const trouble = refusalOf?.(entry.name)
      if (trouble !== undefined) {
        this.problems.add(trouble)
        continue
      }
      this.#take(compared, difference)
      if (entry.kind === 'directory' && difference.how === 'changed') yield { index, entry }
    }
    this.#makeWayForSpellings(compared, bytes)
    if (compared.wanted.length + compared.structure.length + compared.gone.length === 0 && refusalOf === undefined) return
    const offsets = entryOffsets(bytes)
    this.steady += offsets.length - 1 - differing
    this.directories.push({ ...compared, wanted: Uint32Array.from(compared.wanted), offsets })
  }

  /** Wants the files of a new directory, most of them without decoding their entries, and yields the rest. */
  * #takeNew (compared: Growing, listing: Uint8Array): Generator<Difference, void, undefined> {
    const reader = new ListingReader(listing)
    for (;;) {
      const sizeBytes = reader.passFile()
      if (sizeBytes !== undefined) {
        this.#want(compared, reader.index, sizeBytes)
        continue
      }
      const entry = reader.next()
      if (entry === undefined) return
      yield { how: 'changed', index: reader.index, entry, committed: undefined }
    }
  }

  #want (compared: Growing, index: number, sizeBytes: number): void {
    compared.wanted.push(index)
    this.wantedBytes += sizeBytes
  }

  #take (compared: Growing, difference: Exclude<Difference, { how: 'gone' }>): void {
    const { entry, index, committed } = difference
    const { directory } = compared
    if (entry.kind === 'directory') this.claims.set(joinPath(directory, entry.name), { digest: entry.digest, mtimeNs: entry.mtimeNs, mode: entry.mode })
    if (entry.kind === 'file' && difference.how === 'changed' && !isRebuiltTwin(committed, entry)) {
      this.#want(compared, index, entry.sizeBytes)
      if (mayBeTwin(committed, entry) && committed !== undefined && !isUnknown(committed)) compared.alike.push(index)
    } else {
      compared.structure.push(index)
      if (difference.how === 'touched' && isRenumbered(difference.committed, entry)) {
        compared.renumbered.push(index)
        this.renumbered.push({ path: joinPath(directory, entry.name), entry: difference.committed, how: 'replaced' })
      }
    }
    if (entry.kind === 'symlink' && !staysInside(pathDepth(directory), entry.target)) {
      compared.indexOnly.push(index)
      if (committed !== undefined) this.evicted.push({ directory, name: entry.name })
      this.problems.add(problem(joinPath(directory, entry.name), 'SYMLINK_OUTSIDE', 'it is noted, but not made in the archive'))
    }
    if (committed !== undefined && difference.how === 'changed') {
      this.#displace(directory, committed, committed.kind === entry.kind ? 'replaced' : 'lost')
    }
  }

  #displace (directory: RelativePath, entry: Entry, how: Displaced['how']): void {
    const path = joinPath(directory, entry.name)
    if (entry.kind === 'file') this.displaced.push({ path, entry, how })
    if (entry.kind !== 'directory' || how === 'replaced') return
    for (const file of storedFiles(this.#index, this.#area, path)) this.displaced.push({ ...file, how })
  }

  // Where the store folds names, the new spelling of a name would be written over the old one and removed with it.
  #makeWayForSpellings (compared: Growing, listing: Uint8Array): void {
    if (!this.#traits.foldsNames || compared.gone.length === 0) return
    const listed = new Set<string>()
    for (const { name } of readListing(listing)) listed.add(foldKey(name))
    for (const { name } of compared.gone) {
      if (listed.has(foldKey(name))) this.evicted.push({ directory: compared.directory, name })
    }
  }
}

/** Whether another file has its name, size and time, or its file system gives numbers anew. Without an identity nothing is known. */
function isRenumbered (committed: Entry, entry: Entry): committed is FileEntry {
  return committed.kind === 'file' && entry.kind === 'file' && committed.identity !== 0n && entry.identity !== 0n && committed.identity !== entry.identity && committed.mtimeNs === entry.mtimeNs && entry.sizeBytes > 0
}

/** All stored files of a directory and below it. */
function * storedFiles (index: ArchiveIndex, area: string, directory: RelativePath): Generator<Omit<Displaced, 'how'>, void, undefined> {
  const below = [directory]
  for (let next = below.pop(); next !== undefined; next = below.pop()) {
    const listing = index.listing({ area, directory: next })
    if (listing === undefined) continue
    for (const entry of readListing(listing)) {
      const path = joinPath(next, entry.name)
      if (entry.kind === 'directory') below.push(path)
      else if (entry.kind === 'file') yield { path, entry }
    }
  }
}
