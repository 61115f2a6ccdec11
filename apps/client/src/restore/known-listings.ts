import { FileSyncError, LIMITS, ListingIndex, ListingRequester, PartsDecoder } from '@filesync/protocol'
import type { ArrivedListing, Connection, Digest, DirectoryEntry, Entry, FileEntry, RelativePath } from '@filesync/protocol'
import { DIGEST_BYTES } from '@filesync/protocol'

/** A file of the state to restore: the number of its listing and its index there. */
export interface EntryPlace {
  readonly listing: number
  readonly entry: number
}

const NO_DIGEST = new Uint8Array(DIGEST_BYTES) as Digest
/** Indexes of listings that are kept: answers come in the order of the tasks, with few listings at a time. */
const INDEXES = 64

/** The listings of the state that is restored, encoded as they came: a million files take some 60 MB. */
export class KnownListings {
  readonly #listings: ArrivedListing[] = []
  readonly #indexes = new Map<number, ListingIndex>()
  #bytes = 0

  /** In the order of their numbers: a directory comes after the one that contains it. */
  get all (): readonly ArrivedListing[] {
    return this.#listings
  }

  /** Throws LIMIT_EXCEEDED. */
  add (listing: ArrivedListing): void {
    this.#bytes += listing.bytes.length
    if (this.#bytes > LIMITS.treeListingBytes) {
      throw new FileSyncError('LIMIT_EXCEEDED', 'There are more entries than can be restored at once. Restore one folder at a time.')
    }
    this.#listings[listing.number] = listing
  }

  directoryOf (listing: number): RelativePath {
    return this.#at(listing).directory
  }

  /** The file at a place, which must be one. */
  file ({ listing, entry }: EntryPlace): FileEntry {
    const { bytes } = this.#at(listing)
    let index = this.#indexes.get(listing)
    if (index === undefined) {
      index = new ListingIndex(bytes)
      this.#indexes.set(listing, index)
      const [oldest] = this.#indexes.keys()
      if (this.#indexes.size > INDEXES && oldest !== undefined) this.#indexes.delete(oldest)
    }
    const found: Entry | undefined = index.entry(bytes, entry)
    if (found?.kind !== 'file') throw new FileSyncError('INTERNAL', 'An entry that was asked for is no file.')
    return found
  }

  #at (listing: number): ArrivedListing {
    const found = this.#listings[listing]
    if (found === undefined) throw new FileSyncError('INTERNAL', 'A listing is missing.')
    return found
  }
}

/**
 * Asks for all listings of the state, and calls `visit` with each. It yields the directories in it that are wanted too. Throws what the
 * connection throws, MESSAGE_UNEXPECTED, LISTING_INVALID and LIMIT_EXCEEDED.
 */
export async function receiveState (
  connection: Connection, visit: (listing: ArrivedListing) => Iterable<{ readonly index: number, readonly entry: DirectoryEntry }>,
): Promise<KnownListings> {
  const known = new KnownListings()
  const questions = new ListingRequester(NO_DIGEST, undefined)
  const parts = new PartsDecoder(LIMITS.listingBytes)
  for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
    await connection.send({ type: 'LISTINGS_WANTED', directories: page })
    while (questions.isWaiting) {
      const incoming = await connection.next()
      if (incoming.kind !== 'raw' || incoming.type !== 'LISTINGS' || incoming.flags !== 0) {
        throw new FileSyncError('MESSAGE_UNEXPECTED', 'The server sent something else when listings were due.')
      }
      for (const whole of parts.push(incoming.payload)) {
        const listing = questions.accept(whole)
        known.add(listing)
        for (const { index, entry } of visit(listing)) questions.request(listing, index, entry)
      }
    }
  }
  return known
}
