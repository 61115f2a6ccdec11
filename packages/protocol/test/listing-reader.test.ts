import { describe, expect, it } from 'vitest'
import { encodeListing } from '../src/index.ts'
import type { Entry, Name } from '../src/index.ts'
import { ListingReader } from '../src/listing-reader.ts'

const file = (name: string, mode = 0o644): Entry => ({ kind: 'file', name: name as Name, mtimeNs: 1n, mode, sizeBytes: 1, identity: 0n })
const NAMES = Array.from({ length: 100 }, (_, i) => `file-${String(100 + i)}`)

describe('ListingReader.passEqual', () => {
  it('leaves only what differs to be taken', () => {
    const changed = new Set(['file-110', 'file-150', 'file-151'])
    const stored = new ListingReader(encodeListing(NAMES.map(name => file(name))))
    const listed = new ListingReader(encodeListing(NAMES.map(name => file(name, changed.has(name) ? 0o600 : 0o644))))
    const taken: (string | undefined)[] = []
    for (let entry: Entry | undefined, isOver = false; !isOver; isOver = entry === undefined) {
      listed.passEqual(stored)
      entry = listed.next()
      if (entry !== undefined) expect(stored.next()?.name).toBe(entry.name)
      taken.push(entry?.name)
    }
    expect(taken).toEqual([...changed, undefined])
    expect(listed.index).toBe(99)
  })

  it('refuses an equal entry behind one with a higher name', () => {
    const stored = new ListingReader(encodeListing([file('b')]))
    const parts = ['c', 'b'].map(name => encodeListing([file(name)]).subarray(1))
    const listed = new ListingReader(Buffer.concat([Uint8Array.of(0x92), ...parts]))
    expect(listed.next()?.name).toBe('c')
    expect(() => { listed.passEqual(stored) }).toThrow(expect.objectContaining({ code: 'LISTING_INVALID' }))
  })
})
