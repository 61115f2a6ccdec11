import fc from 'fast-check'
import {
  encodeDiscover, encodeDiscoverV1, encodeFrame, encodeListing, encodeMessage, encodeOffer, encodePageTable, encodeParts,
  PACK_RECORD_BYTES, writePackRecord,
} from '../../src/index.ts'
import { MESSAGE_TYPES } from '../../src/wire/message-schema.ts'
import { anyEntries, anyPages, messagesByType } from '../support/arbitrary.ts'
import { join } from '../support/refusal.ts'

/** Well-formed inputs that mutations start from. The same for the same seed. */
export interface Corpus {
  readonly messages: readonly Uint8Array[]
  readonly listings: readonly Uint8Array[]
  readonly tables: readonly Uint8Array[]
  readonly datagrams: readonly Uint8Array[]
  readonly parts: readonly Uint8Array[]
  readonly packs: readonly Uint8Array[]
  readonly streams: readonly Uint8Array[]
}

export function makeCorpus (seed: number): Corpus {
  const messages = MESSAGE_TYPES.flatMap(
    type => fc.sample(messagesByType[type], { seed, numRuns: 8 })
  ).map(message => encodeMessage(message))
  const listings = fc.sample(anyEntries, { seed, numRuns: 60 }).map(entries => encodeListing(entries))
  const tables = fc.sample(anyPages, { seed, numRuns: 30 }).map(pages => encodePageTable(pages))
  const parts = [...encodeParts(listings.map((bytes, number) => ({ number, bytes })), 700)]
  const packs = [0, 1, 5].map(files => makePack(files))
  const nonce = 'abcdefghijklmn-_'
  const datagrams = [
    encodeDiscover({ v: 2, nonce, want: 'sync' }), encodeDiscoverV1(), encodeOffer({ v: 1, legacyPort: 5000 }),
    encodeOffer({ v: 2, legacyPort: 0, tlsPort: 4000, idPrefix: 'ABCDEFGH01234567', nonce, pairing: true }),
  ]
  const frames = [
    ...messages.map(message => encodeFrame('MESSAGE', [message])),
    ...parts.map(part => encodeFrame('LISTINGS', [part])),
    ...packs.filter(pack => pack.length > 0).map(pack => encodeFrame('PACK', [pack])),
    encodeFrame('HEARTBEAT', []), encodeFrame('DATA', [new Uint8Array(50)], 1), encodeFrame('DELTA', [new Uint8Array(30)]),
    encodeFrame('SIGNATURE', [parts[0] ?? new Uint8Array(1)]),
    encodeFrame('DIGESTS', [new Uint8Array(72)]),
  ]
  const streams = Array.from({ length: 40 }, (_, i) => join(frames.slice(i * 3, i * 3 + 6)))
  return { messages, listings, tables, datagrams, parts, packs, streams: streams.filter(stream => stream.length > 0) }
}

function makePack (files: number): Uint8Array {
  const pack = new Uint8Array(files * (PACK_RECORD_BYTES + 9))
  for (let task = 0; task < files; task++) {
    writePackRecord(pack, task * (PACK_RECORD_BYTES + 9), { task, sizeBytes: 9, digest: new Uint8Array(32) })
  }
  return pack
}
