import { equalDigests } from '../digest.ts'
import type { Digest, HashBytes } from '../digest.ts'
import type { DirectoryEntry, EntryReference } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { checkPage, checkTop } from './page-check.ts'
import type { PagePlace } from './page-check.ts'
import type { Page } from './page-table.ts'
import type { NumberedBlob } from './parts.ts'
import { checkJoin, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'
import { WaitingListings } from './waiting-listings.ts'
import type { WaitingListing } from './waiting-listings.ts'

/** A requested listing that arrived and whose digest matches the announced one, if digests are compared. */
export interface ArrivedListing {
  readonly number: number
  readonly directory: RelativePath
  readonly bytes: Uint8Array
  /** The items, if it is a page table; absent if it is a listing: a whole one, or a page of one. */
  readonly table?: ArrivedTable
  /** Present if it is a page that a table names: its place in the directory. */
  readonly page?: Page
}

/** A page table that arrived. */
export interface ArrivedTable {
  readonly pages: readonly Page[]
  /** The first name after its last page; undefined if that is the last one of the directory. */
  readonly nextName: PagePlace['nextName']
  /** Number of tables above it. */
  readonly depth: number
}

/** The requesting side of the listing exchange: tracks what was requested, what is still to be requested, and what may arrive. */
export class ListingRequester {
  readonly #hash: HashBytes | undefined
  readonly #waiting = new WaitingListings()
  readonly #expected = new Map<number, WaitingListing>()
  #asked = 0
  #arrived = 0

  /**
   * @param rootDigest as the other end announced it
   * @param hash undefined if the digests of directories are unknown to the other end, and so not compared; it sends whole listings then
   */
  constructor (rootDigest: Digest, hash: HashBytes | undefined) {
    this.#hash = hash
    this.#waiting.add({ reference: undefined, directory: ROOT_PATH, digest: rootDigest })
  }

  /** Whether everything that was requested has arrived, and nothing is left to request. */
  get isComplete (): boolean {
    return this.#waiting.count === 0 && this.#expected.size === 0
  }

  /** Whether something was requested and has not arrived completely. */
  get isWaiting (): boolean {
    return this.#expected.size > 0
  }

  /** Number of listings, pages and tables that have arrived. */
  get arrived (): number {
    return this.#arrived
  }

  /** The references for the next LISTINGS_WANTED; undefined if nothing is left to request, or something has not arrived yet. */
  nextRequest (): EntryReference[] | undefined {
    if (this.#expected.size > 0 || this.#waiting.count === 0) return undefined
    // From the end: depth first keeps only the siblings along one path in memory, not a whole level of the tree.
    const request = this.#waiting.take(LIMITS.listingsPerRequest)
    for (const expected of request) this.#expected.set(this.#asked++, expected)
    return request.flatMap(({ reference }) => reference === undefined ? [] : [reference])
  }

  /**
   * Queues a request for the listing of a directory, the entry at `index` of an arrived listing. Throws LIMIT_EXCEEDED if the
   * path is too long or too deep, or the tree has too many directories: a few listings that refer to each other can claim any
   * number.
   */
  request (parent: Pick<ArrivedListing, 'number' | 'directory'>, index: number, entry: DirectoryEntry): void {
    const fault = checkJoin(parent.directory, entry.name)
    if (fault !== undefined) {
      const parentPath = JSON.stringify(parent.directory)
      throw new FileSyncError('LIMIT_EXCEEDED', `A directory below ${parentPath} exceeds the limits of a path (${fault}).`)
    }
    this.#ensureRoom()
    this.#waiting.addDirectory(parent, index, entry)
  }

  /** Queues a request for the page, or table, that is the item at `index` of an arrived table. Throws as {@link request}. */
  requestPage (parent: ArrivedListing, index: number): void {
    const page = parent.table?.pages[index]
    if (parent.table === undefined || page === undefined) throw new RangeError(`A listing has no page ${String(index)}.`)
    const { pages, nextName, depth } = parent.table
    const place = { directory: parent.directory, page, nextName: pages[index + 1]?.firstName ?? nextName, depth: depth + 1 }
    this.#ensureRoom()
    this.#waiting.add({ reference: [parent.number, index], directory: parent.directory, digest: page.digest, place })
  }

  #ensureRoom (): void {
    if (this.#waiting.count >= LIMITS.listingsWaiting || this.#asked + this.#waiting.count >= LIMITS.listingsPerSync) {
      throw new FileSyncError('LIMIT_EXCEEDED',
        `More than ${LIMITS.listingsPerSync} directories, or ${LIMITS.listingsWaiting} in one place, are new or changed at once. ` +
        'Push a part of the tree first: exclude the rest in an ignore file, then remove it from there and push again.')
    }
  }

  /** Validates an arrived listing, page or table. Throws MESSAGE_UNEXPECTED, LISTING_MISMATCH, LISTING_INVALID or NAME_INVALID. */
  accept ({ number, bytes }: NumberedBlob): ArrivedListing {
    const expected = this.#expected.get(number)
    if (expected === undefined) throw new FileSyncError('MESSAGE_UNEXPECTED', 'A listing arrived that was not requested.')
    const { directory, digest, place } = expected
    if (this.#hash !== undefined && !equalDigests(this.#hash(bytes), digest)) {
      throw new FileSyncError('LISTING_MISMATCH', 'The digest of a listing differs from the announced one.', { path: directory })
    }
    const arrived = { number, directory, bytes, ...(place !== undefined && { page: place.page }) }
    const pages = this.#hash === undefined ? undefined
      : place === undefined ? checkTop(bytes, directory) : checkPage(bytes, place)
    this.#expected.delete(number)
    this.#arrived++
    return pages === undefined ? arrived : { ...arrived, table: { pages, nextName: place?.nextName, depth: place?.depth ?? 0 } }
  }
}
