import type { HashBytes } from '../digest.ts'
import type { Entry, EntryReference } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { ListingIndex } from './listing-index.ts'
import { countListing } from './listing.ts'
import { leafPages, PageTree } from './page-tree.ts'
import type { NumberedBlob } from './parts.ts'
import { joinPath, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'
import type { DirectoryPages, Tree } from './tree.ts'

/** A listing, page or table that was sent. */
interface Sent {
  readonly directory: RelativePath
  /** The level of a page or table in the page tree, and its position there; absent for a directory of one page. */
  readonly level?: number
  readonly position?: number
  index?: ListingIndex
}

/** The responding side of the listing exchange: finds the requested listings, and resolves references to their entries. */
export class ListingResponder {
  readonly #tree: Tree
  readonly #hash: HashBytes | undefined
  readonly #sent: Sent[] = []
  /** The pages that were sent, by level and position, for each directory that has several. */
  readonly #sentPages = new Map<RelativePath, Set<string>>()
  #directories = 0
  #open: { readonly number: number, readonly bytes: Uint8Array } | undefined
  #cut: { readonly directory: RelativePath, readonly pages: DirectoryPages } | undefined

  /** @param hash undefined if the other end does not compare digests; whole listings are sent then */
  constructor (tree: Tree, hash: HashBytes | undefined) {
    this.#tree = tree
    this.#hash = hash
  }

  /** The listings, pages and tables that a LISTINGS_WANTED requests, in its order. Throws TASK_INVALID for an entry that was not listed. */
  * answer (references: readonly EntryReference[]): Generator<NumberedBlob, void, undefined> {
    if (references.length === 0) {
      if (this.#sent.length > 0) throw new FileSyncError('TASK_INVALID', 'The other end requested the root listing twice.')
      yield this.#sendTop(ROOT_PATH)
      return
    }
    for (const [listing, index] of references) {
      const sent = this.#sent[listing]
      if (sent?.level !== undefined && sent.level > 0) {
        yield this.#sendPage(sent, index)
        continue
      }
      const { directory, entry } = this.entry(listing, index)
      if (entry.kind !== 'directory') {
        throw new FileSyncError('TASK_INVALID', 'The other end requested the listing of an entry that is not a directory.')
      }
      yield this.#sendTop(joinPath(directory, entry.name))
    }
  }

  /** The entry that a task or a listing request refers to. Throws TASK_INVALID if there is none. */
  entry (listing: number, index: number): { readonly directory: RelativePath, readonly entry: Entry } {
    const sent = this.#sent[listing]
    if (sent !== undefined && (sent.level ?? 0) === 0) {
      // Tasks are ordered by listing, so it suffices to keep the bytes of the last one, and the offsets into the others.
      if (this.#open?.number !== listing) this.#open = { number: listing, bytes: this.#bytesOf(sent) }
      sent.index ??= new ListingIndex(this.#open.bytes)
      const entry = sent.index.entry(this.#open.bytes, index)
      if (entry !== undefined) return { directory: sent.directory, entry }
    }
    throw new FileSyncError('TASK_INVALID', 'The other end referred to an entry that was not listed.')
  }

  #sendTop (directory: RelativePath): NumberedBlob {
    // Each directory is requested once; endless requests must not make this list grow forever.
    if (this.#directories++ > this.#tree.directories + 1) {
      throw new FileSyncError('TASK_INVALID', 'The other end requested more listings than there are.')
    }
    const pages = this.#pagesOf(directory)
    return this.#send(pages === undefined ? { directory } : { directory, level: pages.tree.levels.length - 1, position: 0 })
  }

  #sendPage ({ directory, level = 0, position = 0 }: Sent, index: number): NumberedBlob {
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
    return this.#send({ directory, level: level - 1, position: at })
  }

  #send (sent: Sent): NumberedBlob {
    return { number: this.#sent.push(sent) - 1, bytes: this.#bytesOf(sent) }
  }

  #bytesOf ({ directory, level, position = 0 }: Sent): Uint8Array {
    if (level === undefined) return this.#listing(directory)
    const pages = this.#pagesOf(directory)
    if (pages === undefined) throw new FileSyncError('INTERNAL', 'A directory has no pages any more.', { path: directory })
    return level === 0 ? pages.leaf(position) : pages.tree.table(level, position)
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
