import { DIGEST_BYTES, encodeListing, joinPath, readListing, ROOT_PATH } from '@filesync/protocol'
import type { Digest, FileEntry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'

import { expect, test } from 'vitest'
import { PackedState } from '../src/history/packed-state.ts'
import type { PastEntry } from '../src/history/packed-state.ts'
import type { Scratch } from '../src/store/content-store.ts'

const SEED = 20_261_130

/** A scratch file in memory, which counts what is in it. */
class CountedScratch implements Scratch {
  bytes = new Uint8Array(0)
  isClosed = false
  readonly #roomBytes: number

  constructor (roomBytes = Infinity) {
    this.#roomBytes = roomBytes
  }

  append (bytes: Uint8Array): boolean {
    if (this.bytes.length + bytes.length > this.#roomBytes) return false
    const longer = new Uint8Array(this.bytes.length + bytes.length)
    longer.set(this.bytes)
    longer.set(bytes, this.bytes.length)
    this.bytes = longer
    return true
  }

  read (at: number, lengthBytes: number): Uint8Array {
    return this.bytes.slice(at, at + lengthBytes)
  }

  close (): void {
    this.isClosed = true
  }
}

function fileNamed (name: string, sizeBytes: number): FileEntry {
  return { kind: 'file', name: name as Name, sizeBytes, mtimeNs: 1_700_000_000_000_000_000n, mode: 0o644, fileId: BigInt(sizeBytes) }
}

function digestOf (name: string): Digest {
  return new Uint8Array(hashBytes(new TextEncoder().encode(name))) as Digest
}

test.each([
  ['all of it in memory', undefined],
  ['most of it in a scratch file', new CountedScratch()],
  ['some of it in a scratch file that becomes full', new CountedScratch(20_000)],
])(`a past state is read as it was written, with %s (seed ${String(SEED)})`, (_, scratch) => {
  const { below } = seededRandom(SEED)
  const state = new PackedState(() => scratch, 1000)
  const model = new Map<RelativePath, PastEntry>()
  for (const directory of ['', 'a', 'a/b', 'c'] as RelativePath[]) {
    // Every other one is known by its listing alone; one directory takes more than one part.
    const names = Array.from({ length: directory === 'c' ? 5000 : 20 + below(50) }, (__, i) => `n${String(i).padStart(5, '0')}`)
    const entries = names.map((name): PastEntry => {
      const entry = fileNamed(name, below(1000))
      const folder = Number(name.slice(1)) % 6 === 1 ? `folder-${String(below(3))}` : undefined
      return { path: joinPath(directory, entry.name), folder, entry, digest: digestOf(name), found: undefined }
    })
    for (const entry of entries) model.set(entry.path, entry)
    const plain = entries.filter((__, i) => i % 2 === 0)
    const digests = new Uint8Array(plain.length * DIGEST_BYTES)
    plain.forEach(({ path }, i) => { digests.set(model.get(path)?.digest ?? [], i * DIGEST_BYTES) })
    state.addListed(directory, encodeListing(plain.flatMap(({ entry }) => entry ?? [])), digests)
    state.add(directory, entries.filter((__, i) => i % 2 === 1))
  }
  expect(state.count).toBe(model.size)
  expect(state.bytes).toBe([...model.values()].reduce((sum, { entry }) => sum + (entry?.kind === 'file' ? entry.sizeBytes : 0), 0))
  for (const [path, { digest, folder, entry }] of model) {
    expect(state.find(path)).toEqual({ path, digest, entry, folder, found: undefined })
  }
  expect(state.find('c/never' as RelativePath)).toBeUndefined()
  for (const directory of state.filled()) {
    const inside = [...model.keys()].filter(path => path.startsWith(directory === '' ? 'n' : `${directory}/n`))
    expect([...readListing(state.listing(directory) ?? new Uint8Array(0))].map(({ name }) => joinPath(directory, name))).toEqual(inside)
    expect([...state.in(directory)].map(({ path }) => path).sort()).toEqual(inside)
    for (const { digests } of state.parts(directory)) expect(digests.length / DIGEST_BYTES).toBeLessThanOrEqual(4096)
  }
  state.set('a' as RelativePath, [])
  expect([...state.in('a' as RelativePath)]).toEqual([])
  expect(state.has(ROOT_PATH)).toBe(true)
  expect(scratch === undefined ? 0 : scratch.bytes.length).toBeGreaterThan(scratch === undefined ? -1 : 10_000)
  state.close()
  expect(scratch?.isClosed ?? true).toBe(true)
})
