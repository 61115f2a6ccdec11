import { expect, test } from 'vitest'
import { compareNames, decodeListing, encodeListing } from '@filesync/protocol'
import type { Digest, Entry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import { FACT_BYTES, readFact, writeFact } from '../src/store/facts.ts'
import { foldDirectory, patchDigests } from '../src/store/fold.ts'
import type { StoredDirectory } from '../src/store/fold.ts'
import { entryOffsets } from '../src/store/listing-cursor.ts'
import { INDEX_ONLY, NOT_STAGED, withoutEntries } from '../src/store/section.ts'
import type { Section } from '../src/store/section.ts'

const NAMES = ['a', 'b', 'ä', 'Z', '~', 'name with a space', 'x'.repeat(40), 'é'.repeat(100), '\u{1f600}', '\uffef', 'a-b', 'a.b']

function anyEntry (name: string, next: (below: number) => number): Entry {
  const mtimeNs = [0n, -5n, 127n, 2n ** 40n, -(2n ** 62n), 1_700_000_000_123_456_789n][next(6)] ?? 0n
  const kind = next(3)
  if (kind === 0) {
    const [mode, sizeBytes] = [next(0o1000), [0, 200, 70_000, 2 ** 40][next(4)] ?? 0]
    return { kind: 'file', name: name as Name, mtimeNs, mode, sizeBytes, fileId: 2n ** BigInt(next(63)) }
  }
  if (kind === 1) return { kind: 'directory', name: name as Name, mtimeNs, mode: next(0o1000), digest: hashBytes(Uint8Array.of(next(256))) }
  return { kind: 'symlink', name: name as Name, mtimeNs, target: 't'.repeat(1 + next(300)) }
}

function factFor (name: string, version: number): Uint8Array {
  const bytes = new Uint8Array(FACT_BYTES)
  writeFact(bytes, 0, {
    digest: hashBytes(new TextEncoder().encode(`${name}${String(version)}`)),
    storedAtMs: 2 ** 41 + version,
    verifiedAtMs: version,
    storedCount: version,
  })
  return bytes
}

type State = Map<string, { entry: Entry, fact: Uint8Array }>

function encode (state: State): StoredDirectory {
  const names = [...state.keys()].sort(compareNames)
  const picked = names.map(name => state.get(name)).filter(item => item !== undefined)
  const facts = picked.filter(({ entry }) => entry.kind === 'file').map(({ fact }) => fact)
  return { listing: encodeListing(picked.map(({ entry }) => entry)), facts: new Uint8Array(facts.flatMap(fact => [...fact])) }
}

test('folding sections gives the same result as replacing entries one by one', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = seededRandom(seed).below
    const state: State = new Map()
    for (const name of NAMES) if (next(2) === 0) state.set(name, { entry: anyEntry(name, next), fact: factFor(name, 0) })
    const old = encode(state)
    const pieces = Array.from({ length: 1 + next(4) }, (): State => new Map())
    for (const name of NAMES) {
      if (next(2) === 0) pieces[next(pieces.length)]?.set(name, { entry: anyEntry(name, next), fact: factFor(name, 1) })
    }
    const removed = new Set(NAMES.filter(name => next(5) === 0 && !pieces.some(piece => piece.has(name))))
    const lost = [...state].filter(([name, { entry }]) => {
      const taken = pieces.map(piece => piece.get(name)).find(item => item !== undefined)
      return entry.kind === 'directory' && (removed.has(name) || (taken !== undefined && taken.entry.kind !== 'directory'))
    }).map(([name]) => name)
    const sections = pieces.map((piece): Section => {
      const items = [...piece.keys()].sort(compareNames).map(name => piece.get(name)).filter(item => item !== undefined)
      return {
        directory: '' as RelativePath,
        entries: encodeListing(items.map(({ entry }) => entry)),
        staged: Uint32Array.from(items, ({ entry }, i) => entry.kind === 'file' ? i : NOT_STAGED),
        facts: new Uint8Array(items.flatMap(({ fact }) => [...fact])),
      }
    })
    const folded = foldDirectory(old, sections, removed)
    for (const name of removed) state.delete(name)
    for (const piece of pieces) for (const [name, item] of piece) state.set(name, item)
    const wanted = encode(state)
    expect(decodeListing(folded.listing), `seed ${String(seed)}`).toEqual(decodeListing(wanted.listing))
    expect([...folded.listing], `seed ${String(seed)}`).toEqual([...wanted.listing])
    expect([...folded.facts], `seed ${String(seed)}`).toEqual([...wanted.facts])
    expect([...folded.lostDirectories].sort(), `seed ${String(seed)}`).toEqual(lost.sort())
    const again = foldDirectory(folded, sections, removed)
    expect([...again.listing], `seed ${String(seed)}`).toEqual([...folded.listing])
  }
})

test('finds the entries of listings of every length', () => {
  for (const count of [0, 1, 15, 16, 17, 300, 65_535, 65_536]) {
    const entries = Array.from({ length: count }, (_, i): Entry => ({
      kind: 'symlink',
      name: String(i).padStart(6, '0') as Name,
      mtimeNs: 1n,
      target: 'x',
    }))
    const listing = encodeListing(entries)
    const offsets = entryOffsets(listing)
    expect(offsets.length).toBe(count + 1)
    expect(offsets.at(-1)).toBe(listing.length)
  }
})

test('keeps the facts of a file whose metadata changed, and does not invent any', () => {
  const file = (mode: number): Entry => ({ kind: 'file', name: 'f' as Name, mtimeNs: 1n, mode, sizeBytes: 1, fileId: 1n })
  const touch: Section = {
    directory: '' as RelativePath,
    entries: encodeListing([file(0o600)]),
    staged: Uint32Array.of(NOT_STAGED),
    facts: new Uint8Array(0),
  }
  const old = { listing: encodeListing([file(0o644)]), facts: factFor('f', 3) }
  const folded = foldDirectory(old, [touch], new Set())
  expect(decodeListing(folded.listing)).toEqual([file(0o600)])
  expect(readFact(folded.facts, 0)).toEqual(readFact(old.facts, 0))
  expect(decodeListing(foldDirectory({ listing: encodeListing([]), facts: new Uint8Array(0) }, [touch], new Set()).listing)).toEqual([])
})

test('removes failed entries from a section', () => {
  const fileOf = (name: string): Entry => ({ kind: 'file', name: name as Name, mtimeNs: 1n, mode: 0o644, sizeBytes: 1, fileId: 1n })
  const entries = ['a', 'b', 'c'].map(fileOf)
  const section: Section = {
    directory: '' as RelativePath,
    entries: encodeListing(entries),
    staged: Uint32Array.of(4, INDEX_ONLY, 6),
    facts: new Uint8Array(3 * FACT_BYTES).map((_, i) => i / FACT_BYTES),
  }
  const cut = withoutEntries(section, new Set([1]))
  expect(decodeListing(cut.entries).map(entry => entry.name)).toEqual(['a', 'c'])
  expect([...cut.staged]).toEqual([4, 6])
  expect(cut.facts[FACT_BYTES]).toBe(2)
})

test('replaces digests in a listing, and drops directories without one', () => {
  const digest = (byte: number): Digest => new Uint8Array(hashBytes(Uint8Array.of(byte))) as Digest
  const directory = (name: string, byte: number): Entry => ({
    kind: 'directory',
    name: name as Name,
    mtimeNs: 1n,
    mode: 0o755,
    digest: digest(byte),
  })
  const listing = encodeListing([directory('a', 1), directory('b', 2), directory('c', 3)])
  expect(patchDigests(listing, () => 'keep')).toBe(listing)
  const patched = patchDigests(listing, name => name === 'a' ? digest(9) : name === 'b' ? undefined : 'keep')
  expect(decodeListing(patched)).toEqual([directory('a', 9), directory('c', 3)])
})
