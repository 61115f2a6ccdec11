import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareListings, compareNames, decodeListing, encodeListing, equalDigests, FileSyncError, sameContent } from '../src/index.ts'
import type { Difference, Entry } from '../src/index.ts'
import { anyEntries } from './support/arbitrary.ts'

/** The same by looking every name up in both, without walking side by side. */
function naive (committed: readonly Entry[], listed: readonly Entry[]): Difference[] {
  const names = [...new Set([...committed, ...listed].map(entry => entry.name))].sort(compareNames)
  return names.flatMap((name): Difference[] => {
    const old = committed.find(entry => entry.name === name)
    const index = listed.findIndex(entry => entry.name === name)
    const entry = listed[index]
    if (entry === undefined) return old === undefined ? [] : [{ how: 'gone', committed: old }]
    if (old === undefined || !sameContent(old, entry) || !equalDigests(digestOf(old), digestOf(entry))) {
      return [{ how: 'changed', index, entry, committed: old }]
    }
    return describeEntry(old) === describeEntry(entry) ? [] : [{ how: 'touched', index, entry, committed: old }]
  })
}

function digestOf (entry: Entry): Uint8Array {
  return entry.kind === 'directory' ? entry.digest : new Uint8Array(0)
}

function describeEntry (entry: Entry): string {
  return JSON.stringify(entry, (_, value: unknown) => typeof value === 'bigint' ? value.toString() : value)
}

/** Two listings that share most of what they have. */
const anyPair = fc.tuple(anyEntries, anyEntries, fc.infiniteStream(fc.nat({ max: 5 }))).map(([left, right, picks]) => {
  const names = new Set(right.map(entry => entry.name))
  const changed = left.filter(entry => !names.has(entry.name)).flatMap((entry): Entry[] => {
    switch (picks.next().value) {
      case 0: return []
      case 1: return [{ ...entry, mtimeNs: entry.mtimeNs === 0n ? 1n : 0n }]
      case 2: return entry.kind === 'symlink' ? [{ ...entry, target: 'elsewhere' }] : [{ ...entry, mode: entry.mode ^ 1 }]
      default: return [entry]
    }
  })
  return [left, [...right, ...changed].sort((a, b) => compareNames(a.name, b.name))] as const
})

describe('compareListings', () => {
  it('reports the same differences as a naive comparison', () => {
    fc.assert(fc.property(anyPair, ([committed, listed]) => {
      expect([...compareListings(encodeListing(committed), encodeListing(listed))]).toEqual(naive(committed, listed))
    }), { numRuns: 300 })
  })

  it('reports nothing for equal listings and every entry of a new one', () => {
    fc.assert(fc.property(anyEntries, entries => {
      const bytes = encodeListing(entries)
      expect([...compareListings(bytes, bytes)]).toEqual([])
      expect([...compareListings(undefined, bytes)]).toEqual(
        entries.map((entry, index) => ({ how: 'changed', index, entry, committed: undefined }))
      )
    }))
  })

  it('rejects what reading the listing rejects, even if most of it equals the stored one', () => {
    let refused = 0
    fc.assert(fc.property(anyPair, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), ([committed, listed], at, byte, isSwapped) => {
      const bytes = isSwapped ? Uint8Array.from(swapped(listed, at)) : encodeListing(listed)
      if (!isSwapped) bytes[at % bytes.length] = byte
      const outcome = outcomeOf(() => { decodeListing(bytes) })
      if (outcome !== undefined) refused++
      expect(outcomeOf(() => { for (const _ of compareListings(encodeListing(committed), bytes)); })).toBe(outcome)
    }), { numRuns: 1000 })
    expect(refused).toBeGreaterThan(100)
  })
})

/** The code that something throws. */
function outcomeOf (work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (error) {
    return error instanceof FileSyncError ? error.code : error
  }
}

/** A listing two of whose entries have changed places. */
function swapped (entries: readonly Entry[], at: number): Uint8Array {
  if (entries.length === 0) return encodeListing(entries)
  const first = at % entries.length
  const order = entries.toSpliced(first, 2, ...entries.slice(first, first + 2).reverse())
  const parts = Buffer.concat(order.map(entry => encodeListing([entry]).subarray(1)))
  const header = encodeListing(entries).subarray(0, -parts.length)
  return Buffer.concat([header, parts])
}
