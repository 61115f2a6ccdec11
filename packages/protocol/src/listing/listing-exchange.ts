import { equalDigests } from '../digest.ts'
import type { Digest, HashBytes } from '../digest.ts'
import type { DirectoryEntry, Entry, EntryReference } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { ListingIndex } from './listing-index.ts'
import type { NumberedBlob } from './parts.ts'
import { checkJoin, joinPath, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'
import type { Tree } from './tree.ts'

/** A requested listing that arrived and whose digest matches the announced one, if digests are compared. */
export interface ArrivedListing {
  readonly number: number
  readonly directory: RelativePath
  readonly bytes: Uint8Array
}

interface Expected {
  readonly directory: RelativePath
  readonly digest: Digest
}

/** The requesting side of the listing exchange: tracks what was requested, what is still to be requested, and what may arrive. */
export class ListingRequester {
  readonly #hash: HashBytes | undefined
  readonly #waiting: { readonly reference: EntryReference | undefined, readonly expected: Expected }[] = []
  readonly #expected = new Map<number, Expected>()
  #asked = 0
  #arrived = 0

  /**
   * @param rootDigest as the other end announced it
   * @param hash undefined if the digests of directories are unknown to the other end, and so not compared
   */
  constructor (rootDigest: Digest, hash: HashBytes | undefined) {
    this.#hash = hash
    this.#waiting.push({ reference: undefined, expected: { directory: ROOT_PATH, digest: rootDigest } })
  }

  /** Whether everything that was requested has arrived, and nothing is left to request. */
  get isComplete (): boolean {
    return this.#waiting.length === 0 && this.#expected.size === 0
  }

  /** Whether a page was requested and has not arrived completely. */
  get isWaiting (): boolean {
    return this.#expected.size > 0
  }

  /** Number of listings that have arrived. */
  get arrived (): number {
    return this.#arrived
  }

  /** The next page for LISTINGS_WANTED; undefined if nothing is left to request or a page has not arrived completely. */
  nextPage (): EntryReference[] | undefined {
    if (this.#expected.size > 0 || this.#waiting.length === 0) return undefined
    // From the end: depth first keeps only the siblings along one path in memory, not a whole level of the tree.
    const page = this.#waiting.splice(-LIMITS.listingsPerPage)
    for (const { expected } of page) this.#expected.set(this.#asked++, expected)
    return page.flatMap(({ reference }) => reference === undefined ? [] : [reference])
  }

  /**
   * Queues a request for the listing of a directory, the entry at `index` of an arrived listing. Throws LIMIT_EXCEEDED if the
   * path is too long or too deep, or the tree has too many directories: a few listings that refer to each other can claim any
   * number.
   */
  request (parent: ArrivedListing, index: number, entry: DirectoryEntry): void {
    const fault = checkJoin(parent.directory, entry.name)
    if (fault !== undefined) {
      const parentPath = JSON.stringify(parent.directory)
      throw new FileSyncError('LIMIT_EXCEEDED', `A directory below ${parentPath} exceeds the limits of a path (${fault}).`)
    }
    if (this.#waiting.length >= LIMITS.listingsWaiting || this.#asked + this.#waiting.length >= LIMITS.listingsPerSync) {
      throw new FileSyncError('LIMIT_EXCEEDED',
        `More than ${LIMITS.listingsPerSync} directories, or ${LIMITS.listingsWaiting} in one place, are new or changed at once. ` +
        'Push a part of the tree first: exclude the rest in an ignore file, then remove it from there and push again.')
    }
    const expected = { directory: joinPath(parent.directory, entry.name), digest: entry.digest }
    this.#waiting.push({ reference: [parent.number, index], expected })
  }

  /** Validates an arrived listing. Throws MESSAGE_UNEXPECTED or LISTING_MISMATCH. */
  accept (blob: NumberedBlob): ArrivedListing {
    const expected = this.#expected.get(blob.number)
    if (expected === undefined) throw new FileSyncError('MESSAGE_UNEXPECTED', 'A listing arrived that was not requested.')
    if (this.#hash !== undefined && !equalDigests(this.#hash(blob.bytes), expected.digest)) {
      throw new FileSyncError('LISTING_MISMATCH', 'The digest of a listing differs from the announced one.', { path: expected.directory })
    }
    this.#expected.delete(blob.number)
    this.#arrived++
    return { number: blob.number, directory: expected.directory, bytes: blob.bytes }
  }
}

/** The responding side: finds the requested listings, and resolves references to their entries. */
export class ListingResponder {
  readonly #tree: Tree
  readonly #sent: { readonly directory: RelativePath, index?: ListingIndex }[] = []
  #open: { readonly number: number, readonly bytes: Uint8Array } | undefined

  constructor (tree: Tree) {
    this.#tree = tree
  }

  /** The listings that a LISTINGS_WANTED requests, in its order. Throws TASK_INVALID for an entry that was not listed. */
  * answer (directories: readonly EntryReference[]): Generator<NumberedBlob, void, undefined> {
    if (directories.length === 0) {
      if (this.#sent.length > 0) throw new FileSyncError('TASK_INVALID', 'The other end requested the root listing twice.')
      yield this.#send(ROOT_PATH)
      return
    }
    for (const [listing, index] of directories) {
      const { directory, entry } = this.entry(listing, index)
      if (entry.kind !== 'directory') {
        throw new FileSyncError('TASK_INVALID', 'The other end requested the listing of an entry that is not a directory.')
      }
      yield this.#send(joinPath(directory, entry.name))
    }
  }

  /** The entry that a task or a listing request refers to. Throws TASK_INVALID if there is none. */
  entry (listing: number, index: number): { readonly directory: RelativePath, readonly entry: Entry } {
    const sent = this.#sent[listing]
    if (sent !== undefined) {
      // Tasks are ordered by listing, so it suffices to keep the bytes of the last one, and the offsets into the others.
      if (this.#open?.number !== listing) this.#open = { number: listing, bytes: this.#listing(sent.directory) }
      sent.index ??= new ListingIndex(this.#open.bytes)
      const entry = sent.index.entry(this.#open.bytes, index)
      if (entry !== undefined) return { directory: sent.directory, entry }
    }
    throw new FileSyncError('TASK_INVALID', 'The other end referred to an entry that was not listed.')
  }

  #send (directory: RelativePath): NumberedBlob {
    // Each directory is requested once; endless requests must not make this list grow forever.
    if (this.#sent.length > this.#tree.directories + 1) {
      throw new FileSyncError('TASK_INVALID', 'The other end requested more listings than there are.')
    }
    const number = this.#sent.push({ directory }) - 1
    return { number, bytes: this.#listing(directory) }
  }

  #listing (directory: RelativePath): Uint8Array {
    const bytes = this.#tree.listing(directory)
    if (bytes === undefined) throw new FileSyncError('INTERNAL', 'A listing is missing from the tree.', { path: directory })
    return bytes
  }
}
