import {
  compareListings, FileSyncError, foldKey, formatSize, joinPath, LIMITS, listingDigest, ListingReader, problem, ProblemList, readListing,
  ROOT_PATH, splitFolder,
} from '@filesync/protocol'
import type {
  ArrivedListing, Difference, Digest, Entry, EntryReference, FileEntry, HashBytes, Name, RelativePath,
} from '@filesync/protocol'
import type { WantedListing } from '../sync-contract.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { ComparedDirectories } from './compared-directories.ts'
import { DirectoryDifferences } from './directory-differences.ts'
import { PageGathering } from './gather-pages.ts'
import type { DifferingPages } from './gather-pages.ts'
import { ROLES } from './roles.ts'
import type { StoreTraits } from '../store/content-store.ts'
import type { ScopeRules } from './scope.ts'
import { checkNames, isIndexOnly, isRebuiltTwin, mayBeTwin } from '../store/names.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** What is compared of a directory: all of it, or the pages that differ. */
interface ListedDirectory extends Omit<DifferingPages, 'digest' | 'kept' | 'pages'> {
  /** The number of the listing; of any of the pages, if there are several. */
  readonly number: number
  /** Where the client listed the entry at an index of `listing`. */
  readonly reference: (index: number) => EntryReference
  /** Of the client's directory. */
  readonly digest: () => Digest
  readonly kept?: DifferingPages['kept']
  readonly pages?: DifferingPages['pages']
}

interface WantedFile {
  readonly index: number
  readonly sizeBytes: number
  /** Beside that it is wanted. */
  readonly roles?: number
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
  readonly hash: HashBytes
}

/** Entries that are compared between two points at which the comparison can pause. */
const STEP_ENTRIES = 1024
/** Memory of a stored entry that is gone or replaced; measured. */
const DISPLACED_BYTES = 512

const NO_LINKS = 'the file system of the archive cannot hold symbolic links; a restore makes it from what the index knows of it'

/** Compares the client's listings with the stored ones as they arrive. Pure, except that it reads the index. */
export class Comparison {
  readonly directories: ComparedDirectories
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
  #heldBytes = 0
  #step = 0
  readonly #index: ArchiveIndex
  readonly #area: string
  readonly #traits: StoreTraits
  readonly #rules: ScopeRules
  readonly #hash: HashBytes
  readonly #pages: PageGathering

  constructor ({ index, area, traits, rules, hash }: ComparisonInit) {
    this.#index = index
    this.#area = area
    this.#traits = traits
    this.#rules = rules
    this.#hash = hash
    this.#pages = new PageGathering({ index, area, hash })
    this.directories = new ComparedDirectories(traits.holdsLinks)
    for (const trouble of rules.refused.values()) this.problems.add(trouble)
  }

  /** About how much memory it takes. */
  get heldBytes (): number {
    return this.#heldBytes + this.#pages.heldBytes + DISPLACED_BYTES * (this.displaced.length + this.renumbered.length)
  }

  /**
   * Compares one listing, page or table. Yields what is to be requested next, and undefined when it can pause. Throws LIMIT_EXCEEDED if the
   * differences take more memory than one sync may use.
   */
  * add (arrived: ArrivedListing): Generator<WantedListing | undefined, void, undefined> {
    const { directory, number, bytes, table, page } = arrived
    if (table === undefined && page === undefined) {
      const committed = this.#index.listing({ area: this.#area, directory })
      const reference = (index: number): EntryReference => [number, index]
      yield * this.#compare({ directory, number, listing: bytes, committed, reference, digest: () => listingDigest(bytes, this.#hash) })
      return
    }
    if (directory === ROOT_PATH) this.#rules.ensureUnpaged()
    if (table !== undefined) for (const index of this.#pages.addTable(arrived, table)) yield { listing: number, index, entry: undefined }
    else if (page !== undefined) this.#pages.addPage(arrived, page)
    this.#checkMemory()
    const differing = this.#pages.take(directory)
    if (differing === undefined) return
    const { pages, digest } = differing
    yield * this.#compare({ ...differing, number, reference: index => pages.at(index), digest: () => digest })
  }

  /** Compares a directory, or its pages that differ. */
  * #compare (listed: ListedDirectory): Generator<WantedListing | undefined, void, undefined> {
    const { directory, number, listing, committed, kept, pages, reference, digest } = listed
    if (directory === ROOT_PATH) this.#rules.ensureFolders(listing)
    const refusalOf = yield * checkNames({ directory, listing, committed, kept }, this.#traits)
    const isNew = committed === undefined
    const isAllNew = isNew && refusalOf === undefined
    const found = new DirectoryDifferences(directory, isAllNew ? 'all new' : 'some')
    const differences = isAllNew ? this.#addNew(found, listing) : compareListings(committed, listing)
    for (const difference of differences) {
      if (this.#isStep()) yield undefined
      if (difference === undefined) continue
      if (difference.how === 'gone') {
        if (this.#rules.isLeftAlone(directory, difference.committed.name)) continue
        found.gone.push(difference.committed.name)
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
      yield * this.#addDifference(found, difference)
      if (entry.kind === 'directory' && difference.how === 'changed') {
        const [from, at] = reference(index)
        yield { listing: from, index: at, entry }
      }
    }
    this.#evictOldSpellings(found, listing)
    if (found.isEmpty(listing) && refusalOf === undefined) return
    const { owner } = this.directories.add({ number, isNew, pages, ...found.cut(listing, digest) })
    this.#heldBytes += this.directories.sizeOf(owner)
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
  * #addNew (found: DirectoryDifferences, listing: Uint8Array): Generator<Difference | undefined, void, undefined> {
    const reader = new ListingReader(listing)
    for (;;) {
      const sizeBytes = reader.skipFile()
      if (sizeBytes !== undefined) {
        this.#want(found, { index: reader.index, sizeBytes })
        if (reader.index % STEP_ENTRIES === 0) yield undefined
        continue
      }
      const entry = reader.next()
      if (entry === undefined) return
      yield { how: 'changed', index: reader.index, entry, committed: undefined }
    }
  }

  #want (found: DirectoryDifferences, { index, sizeBytes, roles = 0 }: WantedFile): void {
    found.add(index, ROLES.wanted | roles)
    this.wantedBytes += sizeBytes
  }

  * #addDifference (found: DirectoryDifferences, difference: Exclude<Difference, { how: 'gone' }>): Generator<undefined, void, undefined> {
    const { entry, index, committed } = difference
    const { directory } = found
    if (entry.kind === 'file' && difference.how === 'changed' && !isRebuiltTwin(committed, entry)) {
      const isTwin = committed !== undefined && mayBeTwin(committed, entry, this.#isInherited(directory, entry.name))
      this.#want(found, { index, sizeBytes: entry.sizeBytes, roles: isTwin && !isUnknown(committed) ? ROLES.alike : 0 })
    } else {
      found.add(index, ROLES.structure | this.#noteStructure(directory, difference))
    }
    if (committed !== undefined && difference.how === 'changed') {
      yield * this.#displace(directory, committed, committed.kind === entry.kind ? 'replaced' : 'lost')
    }
  }

  /** The roles that an entry of the structure has beside that. */
  #noteStructure (directory: RelativePath, { how, entry, committed }: Exclude<Difference, { how: 'gone' }>): number {
    if (how === 'touched' && isRenumbered(committed, entry)) {
      this.renumbered.push({ path: joinPath(directory, entry.name), entry: committed, how: 'replaced' })
      return ROLES.renumbered
    }
    if (!isIndexOnly(entry, this.#traits)) return 0
    if (committed !== undefined && committed.kind !== 'symlink') this.evicted.push({ directory, name: entry.name })
    this.problems.add(problem(joinPath(directory, entry.name), 'STORE_FAILED', NO_LINKS))
    return ROLES.indexOnly
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
  #evictOldSpellings ({ directory, gone }: DirectoryDifferences, listing: Uint8Array): void {
    if (!this.#traits.foldsNames || gone.length === 0) return
    const listed = new Set<string>()
    for (const { name } of readListing(listing)) listed.add(foldKey(name))
    for (const name of gone) if (listed.has(foldKey(name))) this.evicted.push({ directory, name })
  }
}

/** Whether another file now has its name, size and time, or the file system changed its file ids. Without a file id nothing is known. */
function isRenumbered (committed: Entry | undefined, entry: Entry): committed is FileEntry {
  if (committed?.kind !== 'file' || entry.kind !== 'file') return false
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
