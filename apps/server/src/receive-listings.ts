import { FileSyncError, LIMITS, ListingQuestions, PartsDecoder } from '@filesync/protocol'
import type { ArrivedListing, Connection, Digest, DirectoryEntry, HashBytes } from '@filesync/protocol'

export interface ReceiveListingsInit {
  readonly connection: Connection
  /** As the client announced it. */
  readonly rootDigest: Digest
  readonly hash: HashBytes
  /** Looks at a listing, and returns the directories in it whose listings are needed too. */
  readonly compare: (listing: ArrivedListing) => Iterable<{ readonly index: number, readonly entry: DirectoryEntry }>
}

/**
 * Asks the client for its listings from the root down, a page at a time, wherever `compare` sees a difference. When it
 * resolves, every listing that was needed has arrived and has the digest that was announced for it.
 */
export async function receiveListings (init: ReceiveListingsInit): Promise<void> {
  const { connection } = init
  const questions = new ListingQuestions(init.rootDigest, init.hash)
  const parts = new PartsDecoder(LIMITS.listingBytes)
  for (let page = questions.nextPage(); page !== undefined; page = questions.nextPage()) {
    await connection.send({ type: 'LISTINGS_WANTED', directories: page })
    while (questions.isWaiting) {
      const incoming = await connection.next()
      if (incoming.kind !== 'raw' || incoming.type !== 'LISTINGS') throw unexpected(incoming.kind === 'raw' ? incoming.type : incoming.message.type)
      for (const whole of parts.push(incoming.payload)) {
        const listing = questions.accept(whole)
        if (questions.arrived > LIMITS.treeEntries) throw new FileSyncError('LIMIT_EXCEEDED', 'The tree has more directories than the protocol allows.')
        for (const { index, entry } of init.compare(listing)) questions.want(listing, index, entry)
      }
    }
  }
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('MESSAGE_UNEXPECTED', `The client sent ${what} where LISTINGS were due.`)
}
