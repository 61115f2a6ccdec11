import { DIRECTORY } from '../encoding/listing-kinds.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'

const BIN_HEADER_BYTES = 2

/**
 * Where the digests of subdirectories lie in an encoded listing, in name order. They have a fixed length, so a digest that
 * changed can be written over the old one, and the listing of a directory need not be encoded again because something
 * below it changed. Skips over everything else; for bytes of this program's own encoding, not for a peer's.
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
