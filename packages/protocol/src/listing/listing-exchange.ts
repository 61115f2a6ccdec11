import { equalDigests } from '../digest.ts'
import type { Digest, HashBytes } from '../digest.ts'
import type { DirectoryEntry, Entry } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { ListingIndex } from './listing-index.ts'
import type { EntryReference } from '../wire/messages.ts'
import type { NumberedBlob } from './parts.ts'
import { checkJoin, joinPath, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'
import type { Tree } from './tree.ts'

/** A listing that was asked for and arrived, and whose digest is the announced one. */
export interface ArrivedListing {
  readonly number: number
  readonly directory: RelativePath
  readonly bytes: Uint8Array
}

interface Expected {
  readonly directory: RelativePath
  readonly digest: Digest
}

/** The asking side of the exchange of listings: what was asked for, what is still to be asked for, and what may arrive. */
export class ListingRequester {
  readonly #hash: HashBytes
  readonly #waiting: { readonly reference: EntryReference | undefined, readonly expected: Expected }[] = []
  readonly #expected = new Map<number, Expected>()
  #asked = 0
  #arrived = 0

  /** @param rootDigest as the client announced it */
  constructor (rootDigest: Digest, hash: HashBytes) {
    this.#hash = hash
    this.#waiting.push({ reference: undefined, expected: { directory: ROOT_PATH, digest: rootDigest } })
  }

  /** Whether everything that was asked for has arrived, and nothing is left to ask for. */
  get isComplete (): boolean {
    return this.#waiting.length === 0 && this.#expected.size === 0
  }

  /** Whether a page was asked for and has not wholly arrived. */
  get isWaiting (): boolean {
    return this.#expected.size > 0
  }

  /** Number of listings that have arrived. */
  get arrived (): number {
    return this.#arrived
  }

  /** The next page to ask for, for LISTINGS_WANTED, or undefined while nothing is left or a page is still on its way. */
  nextPage (): EntryReference[] | undefined {
    if (this.#expected.size > 0 || this.#waiting.length === 0) return undefined
    // From the end: asking for the youngest first holds the siblings along one path, not a whole level of the tree.
    const page = this.#waiting.splice(-LIMITS.listingsPerPage)
    for (const { expected } of page) this.#expected.set(this.#asked++, expected)
    return page.flatMap(({ reference }) => reference === undefined ? [] : [reference])
  }

  /**
   * Plans to ask for the listing of a directory that stands at `index` in an arrived listing. Throws LIMIT_EXCEEDED where
   * the path is too long or too deep, or the tree has too many directories: a few listings that name each other can
   * claim any number.
   */
  request (parent: ArrivedListing, index: number, entry: DirectoryEntry): void {
    const fault = checkJoin(parent.directory, entry.name)
    if (fault !== undefined) {
      throw new FileSyncError('LIMIT_EXCEEDED', `A directory below ${JSON.stringify(parent.directory)} exceeds the limits of a path (${fault}).`)
    }
    if (this.#waiting.length >= LIMITS.listingsWaiting || this.#asked + this.#waiting.length >= LIMITS.listingsPerSync) {
      throw new FileSyncError('LIMIT_EXCEEDED',
        `More than ${LIMITS.listingsPerSync} directories, or ${LIMITS.listingsWaiting} in one place, are new or changed at once. ` +
        'Push a part of the tree first: exclude the rest in an ignore file, then remove it from there and push again.')
    }
    const expected = { directory: joinPath(parent.directory, entry.name), digest: entry.digest }
    this.#waiting.push({ reference: [parent.number, index], expected })
  }

  /** Checks a listing that arrived. Throws MESSAGE_UNEXPECTED or LISTING_MISMATCH. */
  accept (whole: NumberedBlob): ArrivedListing {
    const expected = this.#expected.get(whole.number)
    if (expected === undefined) throw new FileSyncError('MESSAGE_UNEXPECTED', 'A listing arrived that was not requested.')
    if (!equalDigests(this.#hash(whole.bytes), expected.digest)) {
      throw new FileSyncError('LISTING_MISMATCH', 'The digest of a listing differs from the announced one.', { path: expected.directory })
    }
    this.#expected.delete(whole.number)
    this.#arrived++
    return { number: whole.number, directory: expected.directory, bytes: whole.bytes }
  }
}

/** The answering side: finds the listings that are asked for, and remembers what their numbers mean. */
export class ListingResponder {
  readonly #tree: Tree
  readonly #given: { readonly directory: RelativePath, index?: ListingIndex }[] = []
  #open: { readonly number: number, readonly bytes: Uint8Array } | undefined

  constructor (tree: Tree) {
    this.#tree = tree
  }

  /** The listings that a LISTINGS_WANTED asks for, in its order. Throws TASK_INVALID for what was not listed. */
  * answer (directories: readonly EntryReference[]): Generator<NumberedBlob, void, undefined> {
    if (directories.length === 0) {
      if (this.#given.length > 0) throw new FileSyncError('TASK_INVALID', 'The server requested the root listing twice.')
      yield this.#give(ROOT_PATH)
      return
    }
    for (const [listing, index] of directories) {
      const { directory, entry } = this.entry(listing, index)
      if (entry.kind !== 'directory') throw new FileSyncError('TASK_INVALID', 'The server requested the listing of an entry that is not a directory.')
      yield this.#give(joinPath(directory, entry.name))
    }
  }

  /** The entry that a task or a question names. Throws TASK_INVALID where there is none. */
  entry (listing: number, index: number): { readonly directory: RelativePath, readonly entry: Entry } {
    const given = this.#given[listing]
    if (given !== undefined) {
      // Tasks come listing by listing, so the bytes of the last one are enough; the offsets into the others are kept.
      if (this.#open?.number !== listing) this.#open = { number: listing, bytes: this.#listing(given.directory) }
      given.index ??= new ListingIndex(this.#open.bytes)
      const entry = given.index.entry(this.#open.bytes, index)
      if (entry !== undefined) return { directory: given.directory, entry }
    }
    throw new FileSyncError('TASK_INVALID', 'The server referred to an entry that was not listed.')
  }

  #give (directory: RelativePath): NumberedBlob {
    // Each directory is asked for once; a server that asks on and on must not make this list grow for ever.
    if (this.#given.length > this.#tree.directories + 1) throw new FileSyncError('TASK_INVALID', 'The server requested more listings than there are.')
    const number = this.#given.push({ directory }) - 1
    return { number, bytes: this.#listing(directory) }
  }

  #listing (directory: RelativePath): Uint8Array {
    const bytes = this.#tree.listing(directory)
    if (bytes === undefined) throw new FileSyncError('INTERNAL', 'A listing is missing from the tree.', { path: directory })
    return bytes
  }
}
