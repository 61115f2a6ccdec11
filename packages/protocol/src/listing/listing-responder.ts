import type { HashBytes } from '../digest.ts'
import type { Entry, EntryReference } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { ListingIndex } from './listing-index.ts'
import { countListing } from './listing.ts'
import { leafPages, PageTree } from './page-tree.ts'
import type { Name } from './name.ts'
import type { NumberedBlob } from './parts.ts'
import { joinPath, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'
import { SentListings } from './sent-listings.ts'
import type { SentPage } from './sent-listings.ts'
import type { DirectoryPages, Tree } from './tree.ts'

/** Scanning a shorter listing again costs less than keeping the offsets in it, for each of a million directories. */
const KEPT_INDEX_ENTRIES = 256

/** The listing whose entries are asked for. */
interface OpenListing {
  readonly number: number
  readonly directory: RelativePath
  readonly bytes: Uint8Array
  readonly index: ListingIndex
}

/** The responding side of the listing exchange: finds the requested listings, and resolves references to their entries. */
export class ListingResponder {
  readonly #tree: Tree
  readonly #hash: HashBytes | undefined
  readonly #sent = new SentListings()
  /** The pages that were sent, by level and position, for each directory that has several. */
  readonly #sentPages = new Map<RelativePath, Set<string>>()
  #directories = 0
  #open: OpenListing | undefined
  #cut: { readonly directory: RelativePath, readonly pages: DirectoryPages } | undefined

  /** @param hash undefined if the other end does not compare digests; whole listings are sent then */
  constructor (tree: Tree, hash: HashBytes | undefined) {
    this.#tree = tree
    this.#hash = hash
  }

  /** The listings, pages and tables that a LISTINGS_WANTED requests, in its order. Throws TASK_INVALID for an entry that was not listed. */
  * answer (references: readonly EntryReference[]): Generator<NumberedBlob, void, undefined> {
    if (references.length === 0) {
      if (this.#sent.count > 0) throw new FileSyncError('TASK_INVALID', 'The other end requested the root listing twice.')
      yield this.#sendTop(0, { directory: ROOT_PATH, name: '' as Name })
      return
    }
    for (const [listing, index] of references) {
      const table = this.#sent.pageOf(listing)
      if (table !== undefined && table.level > 0) {
        yield this.#sendPage(listing, table, index)
        continue
      }
      const { directory, entry } = this.entry(listing, index)
      if (entry.kind !== 'directory') {
        throw new FileSyncError('TASK_INVALID', 'The other end requested the listing of an entry that is not a directory.')
      }
      yield this.#sendTop(listing, { directory: joinPath(directory, entry.name), name: entry.name })
    }
  }

  /** The entry that a task or a listing request refers to. Throws TASK_INVALID if there is none. */
  entry (listing: number, index: number): { readonly directory: RelativePath, readonly entry: Entry } {
    // A table has pages, and no entries.
    if (listing < this.#sent.count && (this.#sent.pageOf(listing)?.level ?? 0) === 0) {
      // Tasks are ordered by listing, so it suffices to keep the last one, and the offsets into the long ones.
      if (this.#open?.number !== listing) this.#open = this.#opened(listing)
      const { directory, bytes } = this.#open
      const entry = this.#open.index.entry(bytes, index)
      if (entry !== undefined) return { directory, entry }
    }
    throw new FileSyncError('TASK_INVALID', 'The other end referred to an entry that was not listed.')
  }

  #opened (number: number): OpenListing {
    const directory = this.#sent.directoryOf(number)
    const bytes = this.#bytesOf(directory, this.#sent.pageOf(number))
    const index = this.#sent.indexOf(number) ?? new ListingIndex(bytes)
    if (countListing(bytes) > KEPT_INDEX_ENTRIES) this.#sent.keepIndex(number, index)
    return { number, directory, bytes, index }
  }

  #sendTop (parent: number, { directory, name }: { readonly directory: RelativePath, readonly name: Name }): NumberedBlob {
    // Each directory is requested once; endless requests must not make this list grow forever.
    if (this.#directories++ > this.#tree.directories + 1) {
      throw new FileSyncError('TASK_INVALID', 'The other end requested more listings than there are.')
    }
    const pages = this.#pagesOf(directory)
    const top = pages === undefined ? undefined : { level: pages.tree.levels.length - 1, position: 0 }
    return { number: this.#sent.addDirectory(parent, name, top), bytes: this.#bytesOf(directory, top) }
  }

  #sendPage (number: number, { level, position }: SentPage, index: number): NumberedBlob {
    const directory = this.#sent.directoryOf(number)
    const table = this.#pagesOf(directory)?.tree.levels[level]?.[position]
    const at = (table?.from ?? 0) + index
    if (table === undefined || at >= table.to) {
      throw new FileSyncError('TASK_INVALID', 'The other end requested a page that was not listed.')
    }
    const sent = this.#sentPages.get(directory) ?? new Set<string>()
    this.#sentPages.set(directory, sent)
    const key = `${String(level - 1)} ${String(at)}`
    if (sent.has(key)) throw new FileSyncError('TASK_INVALID', 'The other end requested a page twice.')
    sent.add(key)
    const page = { level: level - 1, position: at }
    return { number: this.#sent.addPage(number, page), bytes: this.#bytesOf(directory, page) }
  }

  #bytesOf (directory: RelativePath, page: SentPage | undefined): Uint8Array {
    if (page === undefined) return this.#listing(directory)
    const pages = this.#pagesOf(directory)
    if (pages === undefined) throw new FileSyncError('INTERNAL', 'A directory has no pages any more.', { path: directory })
    return page.level === 0 ? pages.leaf(page.position) : pages.tree.table(page.level, page.position)
  }

  /** The pages of a directory that has more than one. Kept for the last one, since requests and tasks keep to a directory. */
  #pagesOf (directory: RelativePath): DirectoryPages | undefined {
    if (this.#hash === undefined) return undefined
    if (this.#cut?.directory === directory) return this.#cut.pages
    const pages = this.#tree.pages === undefined ? this.#cutListing(directory, this.#hash) : this.#tree.pages(directory)
    if (pages !== undefined) this.#cut = { directory, pages }
    return pages
  }

  #cutListing (directory: RelativePath, hash: HashBytes): DirectoryPages | undefined {
    const listing = this.#listing(directory)
    if (countListing(listing) <= LIMITS.pageEntries) return undefined
    const leaves = [...leafPages(listing, hash)]
    return {
      tree: new PageTree(leaves, hash),
      leaf: index => leaves[index]?.bytes ?? new Uint8Array(0),
    }
  }

  #listing (directory: RelativePath): Uint8Array {
    const bytes = this.#tree.listing(directory)
    if (bytes === undefined) throw new FileSyncError('INTERNAL', 'A listing is missing from the tree.', { path: directory })
    return bytes
  }
}
