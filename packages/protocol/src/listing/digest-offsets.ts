import { DIRECTORY } from '../encoding/listing-kinds.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'

const BIN_HEADER_BYTES = 2

/**
 * Offsets of the digests of subdirectories in an encoded listing, in name order. They have a fixed length, so a changed digest
 * can overwrite the old one, and a listing need not be encoded again because something below it changed. Does not validate the
 * rest: only for listings that this program encoded itself.
 */
export function digestOffsets (listing: Uint8Array): number[] {
  const offsets: number[] = []
  const reader = new MsgpackReader(listing)
  for (let left = reader.array(); left > 0; left--) {
    const fields = reader.array()
    reader.skip(1)
    if (reader.uint() !== DIRECTORY) {
      reader.skip(fields - 2)
      continue
    }
    reader.skip(2)
    offsets.push(reader.offset + BIN_HEADER_BYTES)
    reader.skip(1)
  }
  return offsets
}
