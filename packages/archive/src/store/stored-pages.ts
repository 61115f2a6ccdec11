import { equalDigests, joinPages, leafPages, LIMITS, PageTree } from '@filesync/protocol'
import type { Digest, HashBytes, Name, Page } from '@filesync/protocol'
import type { RewrittenPage } from './archive-index.ts'
import { FACT_BYTES } from './facts.ts'
import type { StoredDirectory } from './fold.ts'
import { countFiles, ListingCursor } from './listing-cursor.ts'

/** A page of a directory in the index: at most `LIMITS.pageEntries` consecutive entries, and the facts of its files. */
export interface StoredPage extends Page {
  /** How many of its entries are files. */
  readonly files: number
}

/** A page with its content. */
export interface WrittenPage extends StoredPage {
  readonly stored: StoredDirectory
}

/** The pages of a directory in the index. Their contents are read one by one. */
export interface StoredPages {
  /** In order. A directory that is not paged has one, also if it is empty. */
  readonly leaves: readonly StoredPage[]
  /** The tables above them, made when they are first asked for. */
  tree (): PageTree
  /** The content of a page, which the index must not have replaced in the meantime. */
  read (leaf: number): StoredDirectory
  /** As `read`, without the facts. */
  listing (leaf: number): Uint8Array
}

/** The page that has a name if the directory has it, and the names for which that is so. */
export interface FoundPage extends StoredDirectory {
  /** Its first name; undefined if it is the first page, which is the one for lower names too, and the name is one of these. */
  readonly from: Name | undefined
  /** The first name of the next page; undefined if it is the last page. */
  readonly before: Name | undefined
}

/** Whether a directory has more than one page. */
export function isPaged (stored: StoredDirectory | StoredPages): stored is StoredPages {
  return 'leaves' in stored
}

/** Whether a listing is so long that it is cut into pages. */
export function isLong (listing: Uint8Array): boolean {
  return new ListingCursor(listing).count > LIMITS.pageEntries
}

/** Cuts a directory into pages. */
export function cutDirectory ({ listing, facts }: StoredDirectory, hash: HashBytes): WrittenPage[] {
  let at = 0
  return Array.from(leafPages(listing, hash), ({ bytes, firstName, entries, digest }) => {
    const files = countFiles(bytes)
    const end = at + files * FACT_BYTES
    const stored = { listing: bytes, facts: facts.subarray(at, end) }
    at = end
    return { firstName, entries, digest, files, stored }
  })
}

/** A directory of at most one page as its pages. */
export function onePage (stored: StoredDirectory, hash: HashBytes): StoredPages {
  const leaves = cutDirectory(stored, hash).map(withoutContent)
  return { leaves, tree: () => new PageTree(leaves, hash), read: () => stored, listing: () => stored.listing }
}

/** The digest of a directory: that of its only page, or of the top of its page tree. */
export function digestOfStored (stored: StoredDirectory | StoredPages, hash: HashBytes): Digest {
  return isPaged(stored) ? stored.tree().digest : hash(stored.listing)
}

/** Consecutive pages as one directory. */
export function joinDirectories (pages: readonly StoredDirectory[]): StoredDirectory {
  const [only] = pages
  if (only !== undefined && pages.length === 1) return only
  const facts = new Uint8Array(pages.reduce((sum, page) => sum + page.facts.length, 0))
  let at = 0
  for (const page of pages) {
    facts.set(page.facts, at)
    at += page.facts.length
  }
  return { listing: joinPages(pages.map(({ listing }) => listing)), facts }
}

/** The position of the page for a name: of the last one whose first name is not after it, or of the first page. */
export function leafFor (leaves: readonly Page[], isAfter: (page: Page) => boolean): number {
  let low = 0
  for (let high = leaves.length; high - low > 1;) {
    const middle = (low + high) >>> 1
    const page = leaves[middle]
    if (page === undefined || isAfter(page)) high = middle
    else low = middle
  }
  return low
}

/** The pages of a directory after some are rewritten. Throws if it has no such page. */
export function rewritten (leaves: readonly StoredPage[], pages: readonly RewrittenPage[], hash: HashBytes): (StoredPage | WrittenPage)[] {
  const changed = new Map(pages.map(({ firstName, stored }) => [firstName, stored]))
  const after = leaves.map(page => {
    const stored = changed.get(page.firstName)
    changed.delete(page.firstName)
    return stored === undefined ? page : { ...page, files: countFiles(stored.listing), digest: hash(stored.listing), stored }
  })
  for (const firstName of changed.keys()) throw new RangeError(`The index has no page from ${JSON.stringify(firstName)} on.`)
  return after
}

/** A page without its content. */
export function withoutContent ({ firstName, entries, digest, files }: StoredPage): StoredPage {
  return { firstName, entries, digest, files }
}

/** Throws if a list of pages does not name what `stored` has wherever it brings no content. Such a list was made for another state. */
export function checkKept (pages: readonly (StoredPage | WrittenPage)[], find: (firstName: Name) => StoredPage | undefined): void {
  for (const page of pages) {
    if ('stored' in page) continue
    const known = find(page.firstName)
    if (known === undefined || !equalDigests(known.digest, page.digest)) {
      throw new RangeError(`The index has no such page from ${JSON.stringify(page.firstName)} on.`)
    }
  }
}
