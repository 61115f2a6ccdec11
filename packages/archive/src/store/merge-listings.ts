import { encodeListing } from '@filesync/protocol'
import { compareCursors, ListingBuilder, ListingCursor } from './listing-cursor.ts'

/** Merges a few listings of different names, without decoding their entries. */
export function mergeListings (listings: readonly Uint8Array[]): Uint8Array {
  const cursors = listings.map(listing => new ListingCursor(listing)).filter(cursor => cursor.next())
  const [only, ...others] = cursors
  if (only === undefined) return encodeListing([])
  if (others.length === 0) return only.bytes
  const builder = new ListingBuilder()
  for (;;) {
    const first = cursors.reduce((least, cursor) => compareCursors(cursor, least) < 0 ? cursor : least)
    if (first.isDone) return builder.finish()
    builder.add(first.bytes.subarray(first.start, first.end))
    first.next()
  }
}
