import { compareNames, FileSyncError, joinPages } from '@filesync/protocol'
import type { ArrivedListing, ArrivedTable, Digest, HashBytes, Name, Page, PageNode, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { StoredPages } from '../store/stored-pages.ts'
import { PageNumbers } from './page-numbers.ts'

/** Memory of a page that waits for others, beside its bytes; measured. */
const PAGE_BYTES = 256

export interface PageGatheringInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly hash: HashBytes
}

/** The pages in which a directory of the client and the stored one differ. All others are the same on both sides. */
export interface DifferingPages {
  readonly directory: RelativePath
  /** Of the client's directory. */
  readonly digest: Digest
  /** The client's, as one listing. */
  readonly listing: Uint8Array
  readonly pages: PageNumbers
  /** The stored ones, as one listing; undefined if nothing of the directory is stored. */
  readonly committed: Uint8Array | undefined
  /** The listings of the stored pages that are the same. Reads each one. */
  readonly kept: () => Iterable<Uint8Array>
}

/** A directory whose pages are arriving. */
interface OpenDirectory {
  readonly digest: Digest
  readonly stored: StoredPages | undefined
  /** By stored page, 1 if the client has it too. */
  readonly covered: Uint8Array
  readonly arrived: { readonly number: number, readonly page: Page, readonly bytes: Uint8Array }[]
  /** Pages and tables that were requested and have not arrived. */
  due: number
  heldBytes: number
}

/**
 * Gathers the pages of directories that are longer than one page: of each table, it requests what the stored directory does not have, until
 * all pages that differ are here. Pages hold distinct ranges of names, so leaving out those that both sides have changes no difference.
 */
export class PageGathering {
  readonly #init: PageGatheringInit
  readonly #open = new Map<RelativePath, OpenDirectory>()
  #heldBytes = 0

  constructor (init: PageGatheringInit) {
    this.#init = init
  }

  /** About how much memory is taken by pages that wait for others. */
  get heldBytes (): number {
    return this.#heldBytes
  }

  /**
   * The positions of the pages to request of a table. Throws LISTING_INVALID if the table names a page that the stored directory has, for
   * other names than it has.
   */
  addTable ({ directory, bytes, page }: ArrivedListing, table: ArrivedTable): number[] {
    const open = page === undefined ? this.#begin(directory, bytes) : this.#of(directory)
    const wanted = table.pages.flatMap((one, at) => {
      const node = open.stored?.tree().find(one.digest)
      if (node === undefined) return [at]
      this.#cover(open, node, { directory, page: one, next: table.pages[at + 1]?.firstName ?? table.nextName })
      return []
    })
    open.due += wanted.length - (page === undefined ? 0 : 1)
    return wanted
  }

  /** Adds a page that a table named. */
  addPage ({ directory, number, bytes }: ArrivedListing, page: Page): void {
    const open = this.#of(directory)
    open.arrived.push({ number, page, bytes })
    open.due--
    open.heldBytes += PAGE_BYTES + bytes.length
    this.#heldBytes += PAGE_BYTES + bytes.length
  }

  /** The pages of a directory in which it differs; undefined if some have not arrived. Call it once then. */
  take (directory: RelativePath): DifferingPages | undefined {
    const open = this.#of(directory)
    if (open.due > 0) return undefined
    this.#open.delete(directory)
    this.#heldBytes -= open.heldBytes
    const { stored, covered, digest } = open
    const arrived = open.arrived.sort((a, b) => compareNames(a.page.firstName, b.page.firstName))
    return {
      directory,
      digest,
      listing: joinPages(arrived.map(({ bytes }) => bytes)),
      pages: new PageNumbers(arrived.map(({ number, page: { entries } }) => ({ number, entries })), digest),
      committed: stored === undefined ? undefined : joinPages(listingsOf(stored, leaf => covered[leaf] !== 1)),
      kept: () => stored === undefined ? [] : listingsOf(stored, leaf => covered[leaf] === 1),
    }
  }

  #begin (directory: RelativePath, top: Uint8Array): OpenDirectory {
    const { index, area, hash } = this.#init
    if (this.#open.has(directory)) throw new FileSyncError('MESSAGE_UNEXPECTED', 'A directory was listed twice.', { path: directory })
    const stored = index.pages({ area, directory })
    const open: OpenDirectory = {
      digest: hash(top), stored, covered: new Uint8Array(stored?.leaves.length ?? 0), arrived: [], due: 0, heldBytes: 0,
    }
    this.#open.set(directory, open)
    return open
  }

  #of (directory: RelativePath): OpenDirectory {
    const open = this.#open.get(directory)
    if (open === undefined) throw new FileSyncError('MESSAGE_UNEXPECTED', 'A page arrived before its table.', { path: directory })
    return open
  }

  /** The client has a page or table that the archive has too. */
  #cover ({ stored, covered }: OpenDirectory, node: PageNode, { directory, page, next }: PlaceInTable): void {
    if (node.firstName !== page.firstName || node.entries !== page.entries) {
      throw invalid(directory, 'a table describes a page otherwise than it is')
    }
    if (stored !== undefined && next !== undefined && !endsBefore(stored, node, next)) {
      throw invalid(directory, 'a page has names of the next one')
    }
    covered.fill(1, node.leafFrom, node.leafTo)
  }
}

interface PlaceInTable {
  readonly directory: RelativePath
  readonly page: Page
  /** The first name after the page; undefined if it is the last of its directory. */
  readonly next: Name | undefined
}

/** Whether all names of a page, or of the pages below a table, come before another name. Reads a page only if it has to. */
function endsBefore (stored: StoredPages, { leafTo }: PageNode, next: Name): boolean {
  const following = stored.leaves[leafTo]?.firstName
  if (following !== undefined && compareNames(following, next) <= 0) return true
  const cursor = new ListingCursor(stored.listing(leafTo - 1))
  for (let left = cursor.count; left > 0; left--) cursor.next()
  return compareNames(cursor.name(), next) < 0
}

function * listingsOf (stored: StoredPages, isWanted: (leaf: number) => boolean): Generator<Uint8Array, void, undefined> {
  for (let leaf = 0; leaf < stored.leaves.length; leaf++) if (isWanted(leaf)) yield stored.listing(leaf)
}

function invalid (path: RelativePath, why: string): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `The listing of ${JSON.stringify(path)} is malformed: ${why}.`, { path })
}
