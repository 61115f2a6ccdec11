import type { SeededRandom } from '@filesync/protocol/testing'
import {
  compareListings, decodeDiscover, decodeListing, decodeMessage, decodeOffer, FrameDecoder, ListingRequester, openConnection, PartsDecoder,
  readPack, toDigest,
} from '../../src/index.ts'
import type { Digest, Frame } from '../../src/index.ts'
import { ListingIndex } from '../../src/listing/listing-index.ts'
import { ManualClock, memoryStreamPair } from '../../src/testing/index.ts'
import type { Corpus } from './corpus.ts'

/** One decoder of bytes from a peer. */
export interface Target {
  readonly name: string
  readonly inputs: readonly Uint8Array[]
  /** Of a thousand inputs, how many go here. */
  readonly share: number
  take (bytes: Uint8Array<ArrayBuffer>, random: SeededRandom): void | Promise<void>
}

const WHOLE_BYTES_MAX = 1 << 20

export function makeTargets (corpus: Corpus): readonly Target[] {
  return [
    { name: 'messages', inputs: corpus.messages, share: 330, take: bytes => { decodeMessage(bytes) } },
    {
      name: 'listings', inputs: corpus.listings, share: 160,
      take: (bytes, random) => { takeListing(bytes, random.pick(corpus.listings), random) },
    },
    { name: 'page tables', inputs: corpus.tables, share: 60, take: takeTable },
    { name: 'frames', inputs: corpus.streams, share: 220, take: takeFrames },
    {
      name: 'datagrams', inputs: corpus.datagrams, share: 120,
      take: (bytes, random) => { if (random.below(2) === 0) decodeDiscover(bytes); else decodeOffer(bytes) },
    },
    { name: 'parts', inputs: corpus.parts, share: 75, take: bytes => { for (const _ of new PartsDecoder(WHOLE_BYTES_MAX).push(bytes)); } },
    { name: 'packs', inputs: corpus.packs, share: 30, take: bytes => { for (const _ of readPack(bytes)); } },
    { name: 'connections', inputs: corpus.streams, share: 5, take: takeConnection },
  ]
}

function takeListing (bytes: Uint8Array, committed: Uint8Array, random: SeededRandom): void {
  const index = new ListingIndex(bytes)
  for (let i = 0; i < 3; i++) index.entry(bytes, random.below(50))
  for (const _ of compareListings(committed, bytes));
  decodeListing(bytes)
}

/** As the requester takes the top of a directory, and then a page of it. */
function takeTable (bytes: Uint8Array): void {
  const digest = toDigest(new Uint8Array(32)) as Digest
  const questions = new ListingRequester(digest, () => digest)
  questions.nextRequest()
  const arrived = questions.accept({ number: 0, bytes })
  if (arrived.table === undefined) return
  questions.requestPage(arrived, 0)
  questions.nextRequest()
  questions.accept({ number: 1, bytes })
}

/** As the connection and the session would take the stream, cut anywhere. */
function takeFrames (bytes: Uint8Array, random: SeededRandom): void {
  const decoder = new FrameDecoder()
  const parts = new PartsDecoder(WHOLE_BYTES_MAX)
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(200)
    for (const frame of decoder.push(bytes.subarray(at, at + length))) takeFrame(frame, parts)
    at += length
  }
}

function takeFrame (frame: Frame, parts: PartsDecoder): void {
  if (frame.type === 'MESSAGE') decodeMessage(frame.payload)
  else if (frame.type === 'LISTINGS') for (const _ of parts.push(frame.payload));
  else if (frame.type === 'PACK') for (const _ of readPack(frame.payload));
}

async function takeConnection (bytes: Uint8Array): Promise<void> {
  const [near, far] = memoryStreamPair({ capacityBytes: 1 << 24 })
  const connection = openConnection({ stream: near, clock: new ManualClock() })
  await far.write(bytes)
  await far.end()
  // The end of the stream ends this at the latest.
  for (;;) await connection.next()
}
