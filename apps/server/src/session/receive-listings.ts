import type { WantedListing } from '@filesync/archive'
import { countListing, FileSyncError, LIMITS, ListingRequester, PartsDecoder } from '@filesync/protocol'
import type { ArrivedListing, Connection, Digest, HashBytes, TimeSlice } from '@filesync/protocol'

export interface ReceiveListingsInit {
  readonly connection: Connection
  /** The root digest in CLIENT_FILES_INFO. */
  readonly rootDigest: Digest
  readonly hash: HashBytes
  /** Compares a listing. Yields each directory, and each page, whose listing is needed too, and undefined where it could pause. */
  readonly compare: (listing: ArrivedListing) => Iterable<WantedListing | undefined>
  /** Yields the thread while a large tree is compared; throws once the client has left. */
  readonly slice: TimeSlice
}

/**
 * Requests the client's listings from the root down, a page at a time, for each directory that `compare` asks for. When it
 * resolves, every requested listing has arrived and matched the digest that was announced for it. Throws LIMIT_EXCEEDED,
 * MESSAGE_UNEXPECTED, and what the connection throws.
 */
export async function receiveListings (init: ReceiveListingsInit): Promise<void> {
  const { connection, slice } = init
  const questions = new ListingRequester(init.rootDigest, init.hash)
  const parts = new PartsDecoder(LIMITS.pageBytes)
  const budget = new ListingBudget()
  for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
    await connection.send({ type: 'LISTINGS_WANTED', directories: page })
    while (questions.isWaiting) {
      const incoming = await connection.next()
      if (incoming.kind !== 'raw') throw unexpected(incoming.message.type)
      if (incoming.type !== 'LISTINGS') throw unexpected(incoming.type)
      if (incoming.flags !== 0) throw unexpected('compressed LISTINGS')
      for (const whole of parts.push(incoming.payload)) {
        const listing = questions.accept(whole)
        for (const wanted of init.compare(listing)) {
          if (wanted !== undefined) request(questions, listing, wanted)
          if (slice.isOver) await slice.yieldThread()
        }
        budget.spend(listing.bytes)
        if (slice.isOver) await slice.yieldThread()
      }
    }
  }
}

function request (questions: ListingRequester, listing: ArrivedListing, { listing: number, index, entry }: WantedListing): void {
  if (entry === undefined) questions.requestPage(listing, index)
  else questions.request({ number, directory: listing.directory }, index, entry)
}

/** Bounds the listings of one sync. A few listings can be named at any number of places, so a small tree could fill the memory. */
class ListingBudget {
  #bytes = 0
  #entries = 0

  /** Throws LIMIT_EXCEEDED. */
  spend (listing: Uint8Array): void {
    this.#bytes += listing.length
    this.#entries += countListing(listing)
    if (this.#bytes > LIMITS.treeListingBytes || this.#entries > 2 * LIMITS.treeEntries) {
      throw new FileSyncError('LIMIT_EXCEEDED', 'The tree has more entries than the server accepts from one client.')
    }
  }
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('MESSAGE_UNEXPECTED', `The client sent ${what} when LISTINGS were due.`)
}
