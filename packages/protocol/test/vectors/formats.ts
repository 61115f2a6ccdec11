import {
  decodeDiscover, decodeListing, decodeMessage, decodeOffer, encodeDiscover, encodeDiscoverV1, encodeFrame, encodeListing, encodeMessage,
  encodeOffer, encodePageTable, encodeParts, DIGEST_RECORD_BYTES, FrameDecoder, PACK_RECORD_BYTES, PartsDecoder, readDigestRecords,
  readPack, readPageTable, writeDigestRecord, writePackRecord,
} from '../../src/index.ts'
import type { DiscoverV2, Entry, FileDigest, Frame, Message, NumberedBlob, Offer, PackedFile, Page } from '../../src/index.ts'
import { join } from '../support/refusal.ts'

/** Encodes and decodes the values of one vector file. */
export interface Format {
  encode (value: unknown): Uint8Array
  decode (bytes: Uint8Array): unknown
}

const PART_LIMIT_BYTES = 1_000
const PART_PAYLOAD_BYTES = 64

/** The formats by file name. */
export const FORMATS: Readonly<Record<string, Format>> = {
  frames: {
    encode: value => join((value as Frame[]).map(frame => encodeFrame(frame.type, [frame.payload], frame.flags))),
    decode: bytes => [...new FrameDecoder().push(bytes)],
  },
  messages: { encode: value => encodeMessage(value as Message), decode: decodeMessage },
  tables: { encode: value => encodePageTable(value as Page[]), decode: readPageTable },
  listings: { encode: value => encodeListing(value as Entry[]), decode: decodeListing },
  discovers: {
    encode: value => (value as { v: number }).v === 1 ? encodeDiscoverV1() : encodeDiscover(value as DiscoverV2),
    decode: decodeDiscover,
  },
  offers: { encode: value => encodeOffer(value as Offer), decode: decodeOffer },
  parts: {
    encode: value => join([...encodeParts(value as NumberedBlob[], PART_PAYLOAD_BYTES)]),
    decode: bytes => [...new PartsDecoder(PART_LIMIT_BYTES).push(bytes)],
  },
  packs: { encode: value => encodePack(value as PackedFile[]), decode: bytes => [...readPack(bytes)] },
  digests: { encode: value => encodeDigests(value as FileDigest[]), decode: bytes => [...readDigestRecords(bytes)] },
}

function encodeDigests (files: readonly FileDigest[]): Uint8Array {
  const records = new Uint8Array(DIGEST_RECORD_BYTES * files.length)
  files.forEach((file, i) => { writeDigestRecord(records, i * DIGEST_RECORD_BYTES, file) })
  return records
}

function encodePack (files: readonly PackedFile[]): Uint8Array {
  return join(files.flatMap(({ task, digest, content }) => {
    const record = new Uint8Array(PACK_RECORD_BYTES)
    writePackRecord(record, 0, { task, sizeBytes: content.length, digest })
    return [record, content]
  }))
}
