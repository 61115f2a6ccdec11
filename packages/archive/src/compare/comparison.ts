import {
  compareListings, FileSyncError, foldKey, formatSize, joinPath, LIMITS, ListingReader, problem, ProblemList, readListing, ROOT_PATH,
  splitFolder,
} from '@filesync/protocol'
import type { ArrivedListing, Difference, Entry, FileEntry, Name, RelativePath } from '@filesync/protocol'
import type { WantedListing } from '../sync-contract.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { ByteSlabs } from '../store/byte-slabs.ts'
import { ComparedDirectory } from './compared-directory.ts'
import type { StoreTraits } from '../store/content-store.ts'
import type { ScopeRules } from './scope.ts'
import { checkNames, isIndexOnly, isRebuiltTwin, mayBeTwin } from '../store/names.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** The differences of a directory while its listing is walked. */
interface GrowingDirectory {
  readonly directory: RelativePath
  readonly wanted: number[]
  readonly alike: number[]
  readonly structure: number[]
  readonly renumbered: number[]
  readonly indexOnly: number[]
  readonly gone: Entry[]
}

/** A stored file whose content no longer belongs to its path. */
export interface Displaced {
  readonly path: RelativePath
  readonly entry: FileEntry
  /** `replaced`: the path has other content now. `gone`: nothing is there. `lost`: another kind of entry is there. */
  readonly how: 'replaced' | 'gone' | 'lost'
}

export interface ComparisonInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly traits: StoreTraits
  readonly rules: ScopeRules
}

/** Entries that are compared between two points at which the comparison can pause. */
const STEP_ENTRIES = 1024
/** Memory of a directory beside its listing, and of each stored entry that is gone or replaced; measured. */
const DIRECTORY_BYTES = 512
const DISPLACED_BYTES = 512

const NO_LINKS = 'the file system of the archive cannot hold symbolic links; a restore makes it from what the index knows of it'

/** Compares the client's listings with the stored ones as they arrive. Pure, except that it reads the index. */
export class Comparison {
  readonly directories: ComparedDirectory[] = []
  /** The position of each in `directories`. */
  readonly owners: Map<RelativePath, number> = new Map()
  readonly problems: ProblemList = new ProblemList()
  displaced: Displaced[] = []
  /** Names that must leave before anything is placed. */
  readonly evicted: { readonly directory: RelativePath, readonly name: Name }[] = []
  /** Stored files for which the client has the same path, size and time, but another file id. */
  readonly renumbered: Displaced[] = []
  wantedBytes: number = 0
  /** The folders that another machine stored; see `AreaRecord.inherited`. */
  inherited: ReadonlySet<string> = new Set()
  /** How much memory it may take. */
  maxBytes: number = LIMITS.syncBytes
  readonly #slabs = new ByteSlabs()
  #heldBytes = 0
  #step = 0
  readonly #index: ArchiveIndex
  readonly #area: string
  readonly #traits: StoreTraits
  readonly #rules: ScopeRules

  constructor ({ index, area, traits, rules }: ComparisonInit) {
    this.#index = index
    this.#area = area
    this.#traits = traits
    this.#rules = rules
    for (const trouble of rules.refused.values()) this.problems.add(trouble)
  }

  /** About how much memory it takes. */
  get heldBytes (): number {
    return this.#heldBytes + DISPLACED_BYTES * (this.displaced.length + this.renumbered.length)
  }

  /**
   * Compares one listing. Yields the directories whose listings are to be requested, and undefined when it can pause. Throws
   * LIMIT_EXCEEDED if the differences take more memory than one sync may use.
   */
  * add (arrived: ArrivedListing): Generator<WantedListing | undefined, void, undefined> {
    const { directory, bytes } = arrived
    if (directory === ROOT_PATH) this.#rules.ensureFolders(bytes)
    const committed = this.#index.listing({ area: this.#area, directory })
    const refusalOf = yield * checkNames(directory, bytes, this.#traits)
    const compared: GrowingDirectory = { directory, wanted: [], alike: [], structure: [], renumbered: [], indexOnly: [], gone: [] }
    const isAllNew = committed === undefined && refusalOf === undefined
    const differences = isAllNew ? this.#addNew(compared, bytes) : compareListings(committed, bytes)
    for (const difference of differences) {
      if (this.#isStep()) yield undefined
      if (difference === undefined) continue
      if (difference.how === 'gone') {
        if (this.#rules.isLeftAlone(directory, difference.committed.name)) continue
        compared.gone.push(difference.committed)
        yield * this.#displace(directory, difference.committed, 'gone')
        continue
      }
      const { entry, index } = difference
      if (directory === ROOT_PATH && this.#rules.refused.has(entry.name)) continue
      const trouble = refusalOf?.(entry.name)
      if (trouble !== undefined) {
        this.problems.add(trouble)
        continue
      }
      yield * this.#addDifference(compared, difference)
      if (entry.kind === 'directory' && difference.how === 'changed') yield { index, entry }
    }
    this.#evictOldSpellings(compared, bytes)
    const { wanted, structure, gone } = compared
    if (wanted.length + structure.length + gone.length === 0 && refusalOf === undefined) return
    const listing = this.#slabs.hold(bytes)
    this.#addDirectory(new ComparedDirectory({ ...compared, number: arrived.number, isNew: committed === undefined, listing }))
  }

  #addDirectory (compared: ComparedDirectory): void {
    const { directory, listing, count, wanted, structure, gone } = compared
    this.owners.set(directory, this.directories.push(compared) - 1)
    // Each entry is in three tables at most.
    const tableBytes = 4 * (count + wanted.length + structure.length)
    this.#heldBytes += DIRECTORY_BYTES + 2 * directory.length + listing.length + tableBytes + DISPLACED_BYTES * gone.length
    this.#checkMemory()
  }

  #checkMemory (): void {
    if (this.heldBytes <= this.maxBytes) return
    throw new FileSyncError('LIMIT_EXCEEDED', 'The differences from the archive need more memory than the server may use for one sync ' +
      `(${formatSize(this.maxBytes)}, after ${String(this.directories.length)} directories). ` +
      'Push a part of the tree first: exclude the rest in an ignore file, then remove it from there and push again.')
  }

  #isStep (): boolean {
    this.#step = (this.#step + 1) % STEP_ENTRIES
    return this.#step === 0
  }

  /** Wants the files of a new directory, most of them without decoding their entries, and yields the other entries. */
  * #addNew (compared: GrowingDirectory, listing: Uint8Array): Generator<Difference | undefined, void, undefined> {
    const reader = new ListingReader(listing)
    for (;;) {
      const sizeBytes = reader.skipFile()
      if (sizeBytes !== undefined) {
        this.#want(compared, reader.index, sizeBytes)
        if (reader.index % STEP_ENTRIES === 0) yield undefined
        continue
      }
      const entry = reader.next()
      if (entry === undefined) return
      yield { how: 'changed', index: reader.index, entry, committed: undefined }
    }
  }

  #want (compared: GrowingDirectory, index: number, sizeBytes: number): void {
    compared.wanted.push(index)
    this.wantedBytes += sizeBytes
  }

  * #addDifference (compared: GrowingDirectory, difference: Exclude<Difference, { how: 'gone' }>): Generator<undefined, void, undefined> {
    const { entry, index, committed } = difference
    const { directory } = compared
    if (entry.kind === 'file' && difference.how === 'changed' && !isRebuiltTwin(committed, entry)) {
      this.#want(compared, index, entry.sizeBytes)
      const isTwin = committed !== undefined && mayBeTwin(committed, entry, this.#isInherited(directory, entry.name))
      if (isTwin && !isUnknown(committed)) compared.alike.push(index)
    } else {
      compared.structure.push(index)
      if (difference.how === 'touched' && isRenumbered(difference.committed, entry)) {
        compared.renumbered.push(index)
        this.renumbered.push({ path: joinPath(directory, entry.name), entry: difference.committed, how: 'replaced' })
      }
    }
    if (isIndexOnly(entry, this.#traits)) {
      compared.indexOnly.push(index)
      if (committed !== undefined && committed.kind !== 'symlink') this.evicted.push({ directory, name: entry.name })
      this.problems.add(problem(joinPath(directory, entry.name), 'STORE_FAILED', NO_LINKS))
    }
    if (committed !== undefined && difference.how === 'changed') {
      yield * this.#displace(directory, committed, committed.kind === entry.kind ? 'replaced' : 'lost')
    }
  }

  #isInherited (directory: RelativePath, name: Name): boolean {
    return this.inherited.size > 0 && this.inherited.has(directory === ROOT_PATH ? name : splitFolder(directory).folder)
  }

  * #displace (directory: RelativePath, entry: Entry, how: Displaced['how']): Generator<undefined, void, undefined> {
    const path = joinPath(directory, entry.name)
    if (entry.kind === 'file') this.displaced.push({ path, entry, how })
    if (entry.kind !== 'directory' || how === 'replaced') return
    for (const file of storedFiles(this.#index, this.#area, path)) {
      this.displaced.push({ ...file, how })
      if (this.#isStep()) yield undefined
      this.#checkMemory()
    }
  }

  // If the store folds names, a new spelling would be written over the old one, and removed with it.
  #evictOldSpellings (compared: GrowingDirectory, listing: Uint8Array): void {
    if (!this.#traits.foldsNames || compared.gone.length === 0) return
    const listed = new Set<string>()
    for (const { name } of readListing(listing)) listed.add(foldKey(name))
    for (const { name } of compared.gone) {
      if (listed.has(foldKey(name))) this.evicted.push({ directory: compared.directory, name })
    }
  }
}

/** Whether another file now has its name, size and time, or the file system changed its file ids. Without a file id nothing is known. */
function isRenumbered (committed: Entry, entry: Entry): committed is FileEntry {
  if (committed.kind !== 'file' || entry.kind !== 'file') return false
  const hasOtherId = committed.fileId !== 0n && entry.fileId !== 0n && committed.fileId !== entry.fileId
  return hasOtherId && committed.mtimeNs === entry.mtimeNs && entry.sizeBytes > 0
}

/** All stored files in a directory and below it. */
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
