import type { FileEntry, Name, RelativePath } from '@filesync/protocol'
import { encodeListing } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { Comparison } from '../src/compare/comparison.ts'
import { recheckRenumbered } from '../src/compare/renumbered.ts'
import type { Role } from '../src/compare/roles.ts'
import { ScopeRules } from '../src/compare/scope.ts'
import { MemoryIndex } from '../src/testing/memory-index.ts'

const AREA = 'laptop'
const TRAITS = { foldsNames: false, windowsNames: false }
const MIB = 2 ** 20

function file (name: string, fileId: bigint, sizeBytes: number): FileEntry {
  return { kind: 'file', name: name as Name, sizeBytes, mode: 0o644, mtimeNs: 5n, fileId }
}

/** What a comparison finds of one directory, before which all files had the file id 1. */
async function compared (files: readonly FileEntry[]): Promise<Comparison> {
  const index = new MemoryIndex()
  const known = encodeListing(files.map(entry => ({ ...entry, fileId: 1n })))
  await index.write([{ put: { area: AREA, directory: '' as RelativePath }, stored: { listing: known, facts: new Uint8Array(0) } }])
  const comparison = new Comparison({
    index, area: AREA, traits: TRAITS, rules: new ScopeRules({ index, area: AREA, scope: undefined }), hash: hashBytes,
  })
  const listing = encodeListing(files)
  expect([...comparison.add({ number: 0, directory: '' as RelativePath, bytes: listing })]).toEqual([])
  recheckRenumbered(comparison)
  return comparison
}

test.each([
  ['one file beside others that kept theirs', [file('a', 1n, 600 * MIB), file('b', 2n, 600 * MIB)], [1]],
  ['all files, if they are small', [file('a', 2n, MIB), file('b', 3n, MIB)], [0, 1]],
  ['all files, however large, beside none that kept theirs', [file('a', 2n, 200 * MIB), file('b', 3n, 200 * MIB)], [0, 1]],
  ['no empty file', [file('a', 2n, 0), file('b', 1n, 1)], []],
])('checks the content of %s', async (_what, files, places) => {
  const { directories, displaced, wantedBytes } = await compared(files)
  const [directory] = directories
  const indicesOf = (role: Role): number[] => [...directory?.placesOf(role) ?? []].map(place => directory?.reference(place)[1] ?? -1)
  expect(indicesOf('wanted')).toEqual(places)
  expect(indicesOf('alike')).toEqual(places)
  // An empty one gets its new file id, as any other metadata.
  const renumbered = files.flatMap(({ fileId }, i) => fileId === 1n ? [] : [i])
  expect(indicesOf('structure')).toEqual(renumbered.filter(i => !places.includes(i)))
  expect(displaced.map(({ path }) => path)).toEqual(places.map(i => files[i]?.name))
  expect(wantedBytes).toBe(places.reduce((sum, i) => sum + (files[i]?.sizeBytes ?? 0), 0))
})
