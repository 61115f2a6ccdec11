import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'
import { countListing } from './listing.ts'
import { compareNames } from './name.ts'
import type { Name } from './name.ts'
import { endsPage, nameHash } from './page-cut.ts'
import { isPageTable, readPageTable } from './page-table.ts'
import type { Page } from './page-table.ts'
import type { RelativePath } from './relative-path.ts'

/** What the table above says of a page or table that is requested. */
export interface PagePlace {
  readonly directory: RelativePath
  readonly page: Page
  /** The first name after it; undefined if it is the last of its directory. */
  readonly nextName: Name | undefined
  /** Tables above it. */
  readonly depth: number
}

/** Levels of tables at most: pages of 128 entries and tables of 128 items each hold more than `LIMITS.listingEntries` in two. */
const MAX_TABLE_LEVELS = 2

const encoder = new TextEncoder()

/**
 * Checks the top of a directory's pages, whose digest was compared already. Returns the items if it is a table. Throws LISTING_INVALID or
 * NAME_INVALID.
 */
export function checkTop (bytes: Uint8Array, directory: RelativePath): Page[] | undefined {
  if (!isPageTable(bytes)) {
    if (countListing(bytes) > LIMITS.pageEntries) throw invalid(directory, 'it is longer than a page may be')
    return undefined
  }
  const pages = readPageTable(bytes)
  const entries = sumOf(pages)
  if (pages.length === 1 || entries <= LIMITS.pageEntries) throw invalid(directory, 'a table is used where one page would do')
  if (entries > LIMITS.listingEntries) throw invalid(directory, `it claims ${String(entries)} entries`)
  return pages
}

/**
 * Checks a page or table that a table names, whose digest was compared already: it has the number of entries and the names that the table
 * says, and is cut by the rule. Returns the items if it is a table. Throws LISTING_INVALID or NAME_INVALID.
 */
export function checkPage (bytes: Uint8Array, place: PagePlace): Page[] | undefined {
  const { directory } = place
  if (!isPageTable(bytes)) {
    checkLeaf(bytes, place)
    return undefined
  }
  if (place.depth >= MAX_TABLE_LEVELS) throw invalid(directory, 'its tables are nested too deep')
  const pages = readPageTable(bytes)
  if (sumOf(pages) !== place.page.entries) throw invalid(directory, 'a table names another number of entries than was announced')
  checkNames(pages[0]?.firstName, pages.at(-1)?.firstName, place)
  const hashes = pages.slice(1).map(({ firstName }) => textHash(firstName))
  checkCut(hashes, { size: pages.length, level: 1 }, place)
  return pages
}

function checkLeaf (bytes: Uint8Array, place: PagePlace): void {
  const { directory } = place
  const reader = new MsgpackReader(bytes)
  const count = reader.array()
  if (count !== place.page.entries || count === 0) throw invalid(directory, 'a page has another number of entries than was announced')
  if (count > LIMITS.pageEntries) throw invalid(directory, 'it is longer than a page may be')
  const hashes: number[] = []
  let firstName: Name | undefined
  let lastName: Name | undefined
  for (let at = 0; at < count; at++) {
    const fields = reader.array()
    const start = reader.offset
    if (at === 0 || at === count - 1) {
      lastName = reader.str() as Name
      firstName ??= lastName
      reader.offset = start
    }
    const nameBytes = reader.skipStr()
    if (at > 0) hashes.push(nameHash(bytes, reader.offset - nameBytes, reader.offset))
    reader.skip(fields - 1)
  }
  if (reader.remainingBytes > 0) throw invalid(directory, 'bytes follow the last entry of a page')
  checkNames(firstName, lastName, place)
  checkCut(hashes, { size: count, level: 0 }, place)
}

function checkNames (first: Name | undefined, last: Name | undefined, { directory, page, nextName }: PagePlace): void {
  if (first !== page.firstName) throw invalid(directory, 'a page begins with another name than was announced')
  if (last !== undefined && nextName !== undefined && compareNames(last, nextName) >= 0) {
    throw invalid(directory, 'a page has names of the next one')
  }
}

/** @param hashes of all names but the first */
function checkCut (
  hashes: readonly number[], { size, level }: { readonly size: number, readonly level: number }, { directory, nextName }: PagePlace,
): void {
  const isLong = hashes.some((hash, at) => endsPage(at + 1, hash, level))
  const isShort = nextName !== undefined && !endsPage(size, textHash(nextName), level)
  if (isLong || isShort) throw invalid(directory, 'a page is not cut by the rule')
}

function textHash (name: Name): number {
  const bytes = encoder.encode(name)
  return nameHash(bytes, 0, bytes.length)
}

function sumOf (pages: readonly Page[]): number {
  return pages.reduce((sum, { entries }) => sum + entries, 0)
}

function invalid (path: RelativePath, why: string): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `The listing of ${JSON.stringify(path)} is malformed: ${why}.`, { path })
}
