import { countListing, FileSyncError, LIMITS, ListingQuestions, PartsDecoder } from '@filesync/protocol'
import type { ArrivedListing, Connection, Digest, DirectoryEntry, HashBytes, Pace } from '@filesync/protocol'

export interface ReceiveListingsInit {
  readonly connection: Connection
  /** As the client announced it. */
  readonly rootDigest: Digest
  readonly hash: HashBytes
  /** Looks at a listing. Yields the directories in it whose listings are needed too, and undefined at moments at which it could pause. */
  readonly compare: (listing: ArrivedListing) => Iterable<{ readonly index: number, readonly entry: DirectoryEntry } | undefined>
  /** Lets others have the thread while a large tree is compared, and ends that when the client has left. */
  readonly pace: Pace
}

/**
 * Asks the client for its listings from the root down, a page at a time, wherever `compare` sees a difference. When it
 * resolves, every listing that was needed has arrived and has the digest that was announced for it.
 */
export async function receiveListings (init: ReceiveListingsInit): Promise<void> {
  const { connection, pace } = init
  const questions = new ListingQuestions(init.rootDigest, init.hash)
  const parts = new PartsDecoder(LIMITS.listingBytes)
  const account = new Account()
  for (let page = questions.nextPage(); page !== undefined; page = questions.nextPage()) {
    await connection.send({ type: 'LISTINGS_WANTED', directories: page })
    while (questions.isWaiting) {
      const incoming = await connection.next()
      if (incoming.kind !== 'raw' || incoming.type !== 'LISTINGS') throw unexpected(incoming.kind === 'raw' ? incoming.type : incoming.message.type)
      if (incoming.flags !== 0) throw unexpected('compressed LISTINGS')
      for (const whole of parts.push(incoming.payload)) {
        const listing = questions.accept(whole)
        for (const wanted of init.compare(listing)) {
          if (wanted !== undefined) questions.want(listing, wanted.index, wanted.entry)
          if (pace.isDue) await pace.pause()
        }
        account.add(listing.bytes)
        if (pace.isDue) await pace.pause()
      }
    }
  }
}

/** Counts what the listings of one sync take: a few that differ can name each other, and so be sent any number of times. */
class Account {
  #bytes = 0
  #entries = 0

  /** Throws LIMIT_EXCEEDED. */
  add (listing: Uint8Array): void {
    this.#bytes += listing.length
    this.#entries += countListing(listing)
    if (this.#bytes > LIMITS.treeListingBytes || this.#entries > 2 * LIMITS.treeEntries) {
      throw new FileSyncError('LIMIT_EXCEEDED', 'The tree has more entries than a server takes on for one client.')
    }
  }
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('MESSAGE_UNEXPECTED', `The client sent ${what} where LISTINGS were due.`)
}
