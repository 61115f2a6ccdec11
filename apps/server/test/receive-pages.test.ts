import { memoryArchive } from '@filesync/archive/testing'
import {
  encodeListing, encodePageTable, encodeParts, leafPages, LIMITS, ListingResponder, PageTree, ROOT_PATH, TimeSlice,
} from '@filesync/protocol'
import type { Connection, EntryReference, FileEntry, LeafPage, Message, Name, NumberedBlob, Page, Tree } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { receiveListings } from '../src/session/receive-listings.ts'

const ENTRIES = 5000
const FILES = Array.from({ length: ENTRIES }, (_, i): FileEntry => (
  { kind: 'file', name: `f${String(i).padStart(6, '0')}` as Name, sizeBytes: 1, mtimeNs: 7n, mode: 0o644, fileId: BigInt(i + 1) }
))
const LISTING = encodeListing(FILES)
const LEAVES: readonly LeafPage[] = [...leafPages(LISTING, hashBytes)]
const TREE = new PageTree(LEAVES, hashBytes)
const HONEST: Tree = {
  rootDigest: TREE.digest, files: ENTRIES, directories: 0, bytes: ENTRIES,
  listing: directory => directory === ROOT_PATH ? LISTING : undefined,
}

type Answer = (request: readonly EntryReference[]) => Iterable<NumberedBlob>

interface Session {
  readonly code: string
  /** References that the server asked for. */
  readonly asked: number
  readonly taskCount: number
}

/** A session of a client that answers requests for listings like this, with a server that has nothing of it. */
async function session (answer: Answer, rootDigest = TREE.digest): Promise<Session> {
  const area = await memoryArchive({ hash: hashBytes, clock: systemClock }).area('laptop')
  const sync = await area.beginSync()
  const payloads: Uint8Array[] = []
  let asked = 0
  const connection = {
    send: async (message: Message) => {
      if (message.type !== 'LISTINGS_WANTED') throw new Error(`The server sent ${message.type}.`)
      asked += Math.max(1, message.directories.length)
      payloads.push(...encodeParts(answer(message.directories), LIMITS.rawFrameBytes))
    },
    next: async () => {
      const payload = payloads.shift()
      return payload === undefined
        ? { kind: 'message', message: { type: 'CLOSE' } }
        : { kind: 'raw', type: 'LISTINGS', flags: 0, payload }
    },
  } as unknown as Connection
  const slice = new TimeSlice({ clock: systemClock })
  const code = await receiveListings({ connection, rootDigest, hash: hashBytes, slice, compare: arrived => sync.compare(arrived) })
    .then(() => 'done', (error: { code: string }) => error.code)
  const taskCount = code === 'done' ? sync.plan({ complete: true }).taskCount : 0
  await sync.abandon()
  return { code, asked, taskCount }
}

/** An honest client, some of whose answers are changed. */
function changed (change: (blobs: readonly NumberedBlob[]) => Iterable<NumberedBlob>): Answer {
  const answers = new ListingResponder(HONEST, hashBytes)
  return request => change([...answers.answer(request)])
}

/** A client whose root is a table of these pages, and that answers all further requests with some bytes. */
function table (
  pages: readonly Page[],
  bytes: Uint8Array = new Uint8Array(0)
): { readonly answer: Answer, readonly rootDigest: LeafPage['digest'] } {
  const top = encodePageTable(pages)
  let number = 0
  return {
    rootDigest: hashBytes(top),
    answer: request => (request.length === 0 ? [{ number: number++, bytes: top }] : request.map(() => ({ number: number++, bytes }))),
  }
}

test('the pages of a large directory may arrive in any order, and become one task for each file', async () => {
  const { code, asked, taskCount } = await session(changed(blobs => [...blobs].reverse()))
  expect([code, asked, taskCount]).toEqual(['done', 1 + LEAVES.length, ENTRIES])
})

test.each<[string, string, () => Promise<Session>]>([
  ['LISTING_MISMATCH', 'a page has other bytes than announced', () => session(changed(blobs => (
    blobs.map(({ number, bytes }) => ({ number, bytes: number === 3 ? LEAVES[0]?.bytes ?? bytes : bytes }))
  )))],
  ['MESSAGE_UNEXPECTED', 'the same page comes twice', () => session(changed(blobs => [...blobs, ...blobs.slice(0, 1)]))],
  ['MESSAGE_UNEXPECTED', 'a page comes that was not asked for', () => session(changed(blobs => (
    blobs.map(({ number, bytes }) => ({ number: number + 7, bytes }))
  )))],
  ['LISTING_INVALID', 'a table names one page where it would do', () => {
    const { answer, rootDigest } = table(LEAVES.slice(0, 1))
    return session(answer, rootDigest)
  }],
  ['LISTING_INVALID', 'a table claims more entries than a directory may have', () => {
    const { answer, rootDigest } = table(LEAVES.map(leaf => ({ ...leaf, entries: LIMITS.listingEntries })))
    return session(answer, rootDigest)
  }],
  ['LISTING_INVALID', 'a page has another number of entries than announced', () => {
    const [first] = LEAVES
    if (first === undefined) throw new Error('There are no pages.')
    const { answer, rootDigest } = table([{ ...first, entries: 2000 }, ...LEAVES.slice(1)], first.bytes)
    return session(answer, rootDigest)
  }],
  ['LISTING_INVALID', 'pages are tiny', () => {
    const tiny = encodeListing(FILES.slice(0, 2))
    const name = (i: number): Name => `f${String(i).padStart(6, '0')}` as Name
    const pages = Array.from({ length: 1024 }, (_, i) => ({ firstName: name(2 * i), entries: 2, digest: hashBytes(tiny) }))
    const { answer, rootDigest } = table(pages, tiny)
    return session(answer, rootDigest)
  }],
])('the session ends with %s if %s', async (expected, _what, run) => {
  const { code, asked } = await run()
  expect(code).toBe(expected)
  expect(asked).toBeLessThanOrEqual(1 + 1024)
})
