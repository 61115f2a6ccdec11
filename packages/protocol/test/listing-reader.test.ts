import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asFileSyncError, compareNames, encodeListing, ListingReader } from '../src/index.ts'
import type { Entry, Name } from '../src/index.ts'
import { anyEntries } from './support/arbitrary.ts'

const file = (name: string, mode = 0o644): Entry => ({ kind: 'file', name: name as Name, mtimeNs: 1n, mode, sizeBytes: 1, fileId: 0n })
const NAMES = Array.from({ length: 100 }, (_, i) => `file-${String(100 + i)}`)

describe('ListingReader.skipEqual', () => {
  it('leaves only entries that differ', () => {
    const changed = new Set(['file-110', 'file-150', 'file-151'])
    const stored = new ListingReader(encodeListing(NAMES.map(name => file(name))))
    const listed = new ListingReader(encodeListing(NAMES.map(name => file(name, changed.has(name) ? 0o600 : 0o644))))
    const taken: (string | undefined)[] = []
    for (let entry: Entry | undefined, isOver = false; !isOver; isOver = entry === undefined) {
      listed.skipEqual(stored)
      entry = listed.next()
      if (entry !== undefined) expect(stored.next()?.name).toBe(entry.name)
      taken.push(entry?.name)
    }
    expect(taken).toEqual([...changed, undefined])
    expect(listed.index).toBe(99)
  })

  it('rejects an equal entry after one with a higher name', () => {
    const stored = new ListingReader(encodeListing([file('b')]))
    const parts = ['c', 'b'].map(name => encodeListing([file(name)]).subarray(1))
    const listed = new ListingReader(Buffer.concat([Uint8Array.of(0x92), ...parts]))
    expect(listed.next()?.name).toBe('c')
    expect(() => { listed.skipEqual(stored) }).toThrow(expect.objectContaining({ code: 'LISTING_INVALID' }))
  })
})

describe('ListingReader.skipFile', () => {
  it('skips files with plain names, and leaves all other entries to be decoded', () => {
    const names = ['!', '.hidden', '.filesynd', 'a b', 'plain', 'a'.repeat(255), '.FileSyn', 'é', 'ü'.repeat(20)].sort(compareNames)
    const entries: Entry[] = [...names.map(name => file(name)), { kind: 'symlink' as const, name: 'ÿ' as Name, mtimeNs: 1n, target: 'x' }]
    const seen = walk(encodeListing(entries), 'passing')
    expect(seen.passed).toBe(names.filter(name => !/[éü]|^.filesynd$/u.test(name)).length)
    expect(seen.entries).toEqual(walk(encodeListing(entries), 'decoding').entries)
  })

  it('finds the same entries as decoding does', () => {
    fc.assert(fc.property(anyEntries, plainNames, (entries, plain) => {
      const byName = new Map([...plain.map((name, i) => file(name, 0o600 + i)), ...entries].map(entry => [entry.name, entry]))
      const listing = encodeListing([...byName.values()].sort((a, b) => compareNames(a.name, b.name)))
      expect(walk(listing, 'passing').entries).toEqual(walk(listing, 'decoding').entries)
    }))
  })

  it('rejects the same listings as decoding does', () => {
    fc.assert(fc.property(plainNames, fc.array(
      fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) }), { minLength: 1, maxLength: 3 }
    ), fc.nat(), (names, changes, cut) => {
      const listing = encodeListing([...new Set(names)].sort(compareNames).map(name => file(name)))
      for (const { at, byte } of changes) listing[at % listing.length] = byte
      const spoiled = cut % 3 === 0 ? listing.subarray(0, cut % listing.length) : listing
      expect(walk(spoiled, 'passing')).toMatchObject({ ...walk(spoiled, 'decoding'), passed: expect.any(Number) as number })
    }), { numRuns: 2000 })
  })

  it('rejects a duplicate name, and one that is out of order', () => {
    for (const names of [['b', 'b'], ['bb', 'b'], ['b', 'a'], ['é', 'b']]) {
      const parts = names.map(name => encodeListing([file(name)]).subarray(1))
      expect(walk(Buffer.concat([Uint8Array.of(0x92), ...parts]), 'passing').fault).toBe('LISTING_INVALID')
    }
  })
})

const plainNames = fc.array(
  fc.stringMatching(/^[a-z.~ -]{1,12}$/u).filter(name => !['.', '..', '.filesync'].includes(name)) as fc.Arbitrary<Name>, { maxLength: 12 }
)

/** Reads a listing: the index of each entry with the size of a file or the name of any other, and why it was rejected. */
function walk (listing: Uint8Array, how: 'passing' | 'decoding'): {
  entries: (readonly [number, number | string])[]
  passed: number
  fault: string | undefined
} {
  const entries: (readonly [number, number | string])[] = []
  let passed = 0
  try {
    const reader = new ListingReader(listing)
    for (;;) {
      const sizeBytes = how === 'passing' ? reader.skipFile() : undefined
      if (sizeBytes !== undefined) {
        passed++
        entries.push([reader.index, sizeBytes])
        continue
      }
      const entry = reader.next()
      if (entry === undefined) return { entries, passed, fault: undefined }
      entries.push([reader.index, entry.kind === 'file' ? entry.sizeBytes : entry.name])
    }
  } catch (error) {
    return { entries, passed, fault: asFileSyncError(error).code }
  }
}
