import { encodeListing, readListing } from '@filesync/protocol'
import type { Entry, Name } from '@filesync/protocol'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fileSizeAt, ListingCursor } from '../src/store/listing-cursor.ts'

const EDGES = [
  0n, 127n, 128n, 255n, 256n, 65_535n, 65_536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, -1n, -32n, -33n, -128n, -129n, -32_768n,
  -32_769n, -(2n ** 31n), -(2n ** 31n) - 1n, -(2n ** 63n),
]

function file (i: number, mtimeNs: bigint, { mode, sizeBytes }: { mode: number, sizeBytes: number }): Entry {
  return { kind: 'file', name: String(i).padStart(4, '0') as Name, mtimeNs, mode, sizeBytes, fileId: 1n }
}

function expectSame (listing: Uint8Array<ArrayBuffer>): void {
  const cursor = new ListingCursor(listing)
  for (const entry of readListing(listing)) {
    expect(cursor.next()).toBe(true)
    if (entry.kind !== 'file') throw new Error('only files were listed')
    expect([cursor.name(), cursor.mtimeNs(), cursor.mode(), cursor.sizeBytes()]).toEqual([
      entry.name, entry.mtimeNs, entry.mode, entry.sizeBytes,
    ])
    expect(fileSizeAt(listing, cursor.start)).toBe(entry.sizeBytes)
  }
  expect(cursor.next()).toBe(false)
}

it('reads times at the limits of every number encoding', () => {
  expectSame(encodeListing(EDGES.map((mtimeNs, i) => file(i, mtimeNs, { mode: 0o644, sizeBytes: i }))) as Uint8Array<ArrayBuffer>)
})

it('reads listings like the validating reader', () => {
  const facts = fc.record({
    mtimeNs: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    mode: fc.integer({ min: 0, max: 0o777 }),
    sizeBytes: fc.integer({ min: 0, max: 2 ** 50 }),
  })
  fc.assert(fc.property(fc.array(facts, { maxLength: 40 }), files => {
    expectSame(encodeListing(files.map(({ mtimeNs, ...rest }, i) => file(i, mtimeNs, rest))) as Uint8Array<ArrayBuffer>)
  }))
})
