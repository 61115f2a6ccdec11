import { expect, test } from 'vitest'
import { encodeListing, FileSyncError, LIMITS, PART_HEADER_BYTES, TimeSlice } from '@filesync/protocol'
import type { Clock, Connection, Digest, DirectoryEntry, Entry, Name } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { receiveListings } from '../src/session/receive-listings.ts'

const DIGEST = new Uint8Array(32) as Digest

const nameOf = (number: number): Name => String(number).padStart(5, '0') as Name

/** Directories that all have the same listing, as a client with a few listings can claim. */
function claims (count: number): DirectoryEntry[] {
  return Array.from({ length: count }, (_, i) => ({ kind: 'directory', name: nameOf(i), mtimeNs: 1n, mode: 0o755, digest: DIGEST }))
}

/** A clock that advances by a millisecond each time it is read. */
class TickingClock implements Clock {
  #nowMs = 0
  /** How often the thread was yielded. */
  pauses = 0
  onPause: () => void = () => { /* nothing to do */ }

  nowMs (): number {
    return this.#nowMs
  }

  monotonicMs (): number {
    return ++this.#nowMs
  }

  schedule (_delayMs: number, callback: () => void): () => void {
    this.pauses++
    this.onPause()
    return systemClock.schedule(0, callback)
  }
}

interface Received {
  readonly code: string
  readonly listings: number
  readonly bytes: number
}

/** Answers every request: with the root first, and then with one listing again and again. Resolves with what the server received. */
async function ask (below: Entry[], slice: TimeSlice = new TimeSlice({ clock: systemClock }), claimed = 1024): Promise<Received> {
  const directories = claims(1024)
  const wanted = Array.from({ length: claimed }, (_, i) => directories[i % 1024]).filter(entry => entry !== undefined)
  const root = encodeListing(directories)
  const again = encodeListing(below)
  let number = 0
  let offset = 0
  const next = async (): Promise<unknown> => {
    const whole = number === 0 ? root : again
    const length = Math.min(LIMITS.rawFrameBytes - PART_HEADER_BYTES, whole.length - offset)
    const payload = new Uint8Array(PART_HEADER_BYTES + length)
    const view = new DataView(payload.buffer)
    for (const [i, field] of [number, whole.length, offset, length].entries()) view.setUint32(4 * i, field)
    payload.set(whole.subarray(offset, offset + length), PART_HEADER_BYTES)
    offset += length
    if (offset === whole.length) {
      number++
      offset = 0
    }
    return { kind: 'raw', type: 'LISTINGS', flags: 0, payload }
  }
  const connection = { next, send: async () => { /* requests are ignored */ } } as unknown as Connection
  const code = await receiveListings({
    connection,
    rootDigest: DIGEST,
    hash: () => DIGEST,
    slice,
    compare: listing => listing.number === 0 ? wanted.map((entry, index) => ({ listing: 0, index, entry })) : [],
  }).then(() => 'done', (error: { code: string }) => error.code)
  return { code, listings: number, bytes: (number - 1) * again.length }
}

test('listings that are named at very many places are limited in total size', { timeout: 30_000 }, async () => {
  const link: Entry = { kind: 'symlink', name: 'x' as Name, mtimeNs: 1n, target: 'x'.repeat(LIMITS.symlinkTargetBytes) }
  const { code, bytes } = await ask(Array.from({ length: LIMITS.pageEntries }, (_, i) => ({ ...link, name: nameOf(i) })))
  expect(code).toBe('LIMIT_EXCEEDED')
  expect(bytes).toBeLessThan(LIMITS.treeListingBytes + LIMITS.pageBytes)
})

test('listings of very many short entries are limited in total entries', async () => {
  const file: Entry = { kind: 'file', name: 'x' as Name, mtimeNs: 1n, mode: 0, sizeBytes: 0, fileId: 0n }
  const page = Array.from({ length: LIMITS.pageEntries }, (_, i) => ({ ...file, name: nameOf(i) }))
  const { code, listings } = await ask(page, undefined, 20_000)
  expect(code).toBe('LIMIT_EXCEEDED')
  expect(listings).toBeLessThanOrEqual(2 * LIMITS.treeEntries / LIMITS.pageEntries + 2)
})

test('many empty directories are all accepted', async () => {
  expect(await ask([])).toMatchObject({ code: 'done', listings: 1025 })
})

test('comparing yields the thread, however much a client sends in one frame', async () => {
  const clock = new TickingClock()
  expect(await ask([], new TimeSlice({ clock }))).toMatchObject({ code: 'done', listings: 1025 })
  // The clock is read once for each directory that is wanted, and once for each listing.
  expect(clock.pauses).toBeGreaterThan(1024 * 2 / 20)
})

test('comparing stops when the client has left', async () => {
  const clock = new TickingClock()
  const client = new AbortController()
  clock.onPause = () => { if (clock.pauses === 90) client.abort(new FileSyncError('PEER_GONE', 'It left.')) }
  const { code, listings } = await ask([], new TimeSlice({ clock, signal: client.signal }))
  expect(code).toBe('PEER_GONE')
  expect(listings).toBeLessThan(1025)
  expect(clock.pauses).toBe(90)
})
