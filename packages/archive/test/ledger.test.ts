import { encodeListing } from '@filesync/protocol'
import type { Digest, Entry, FileEntry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { ComparedDirectories } from '../src/compare/compared-directories.ts'
import type { ComparedInit } from '../src/compare/compared-directories.ts'
import { DirectoryLedger } from '../src/commit/directory-ledger.ts'
import { cutSection } from '../src/compare/cut-section.ts'
import { NOT_STAGED } from '../src/store/section.ts'
import { MemoryIndex } from '../src/testing/memory-index.ts'

const AREA = 'laptop'

function file (name: string): FileEntry {
  return { kind: 'file', name: name as Name, sizeBytes: 3, mode: 0o644, mtimeNs: 5n, fileId: 1n }
}

function compared (directory: string, names: readonly string[]): ComparedInit {
  return { number: 0, directory: directory as RelativePath, isNew: true, listing: encodeListing(names.map(file)) }
}

function directoriesOf (inits: Iterable<ComparedInit>): ComparedDirectories {
  const directories = new ComparedDirectories()
  for (const init of inits) directories.add(init)
  return directories
}

function ledgerOf (directories: ComparedDirectories, index: MemoryIndex = new MemoryIndex()): DirectoryLedger {
  return new DirectoryLedger({ index, area: AREA, hash: hashBytes, directories }, { removals: [], forgotten: [] })
}

test('the listing of a directory is released when all of it is ready for the index, and not before', () => {
  const directories = directoriesOf([compared('one', ['a', 'b']), compared('other', ['c'])])
  const [one, other] = [directories.at(0), directories.at(1)]
  const ledger = ledgerOf(directories)
  const whole = one.listing.slice()
  const first = cutSection(one, [0], [0])
  ledger.addPlaced(0, [first], [first])
  expect([...ledger.takeReady()]).toEqual([])
  expect(one.listing).toEqual(whole)
  const second = cutSection(one, [1], [1])
  ledger.addPlaced(1, [second], [second])
  expect([...ledger.takeReady()].flat()).toContainEqual(expect.objectContaining({
    put: { area: AREA, directory: 'one' },
    stored: expect.objectContaining({ listing: whole }) as unknown,
  }))
  expect([one.listing.length, one.startOf(0)]).toEqual([0, undefined])
  expect(other.listing.length).toBeGreaterThan(0)
})

test('updating the digests of many directories that are in the index already costs the same for each', () => {
  const COUNT = 30_000
  const inits: ComparedInit[] = []
  const subdirectory = (digest: Digest): Entry => ({ kind: 'directory', name: 'sub' as Name, mtimeNs: 5n, mode: 0o755, digest })
  const claimed = hashBytes(encodeListing([file('never comes')]))
  for (let number = 0; number < COUNT; number++) {
    const directory = `d${String(number)}` as RelativePath
    const listing = encodeListing([subdirectory(claimed)])
    inits.push({ number, directory, isNew: true, listing }, compared(`${directory}/sub`, ['never comes']))
  }
  const directories = directoriesOf(inits)
  const index = new MemoryIndex()
  const ledger = ledgerOf(directories, index)
  const structure = [...directories].filter(({ structureCount }) => structureCount > 0)
    .map(directory => cutSection(directory, [0], [NOT_STAGED]))
  ledger.addPlaced(0, structure, structure)
  for (const writes of ledger.takeReady()) void index.write(writes)
  const startMs = performance.now()
  const writes = [...ledger.takeRest()].flat()
  expect(performance.now() - startMs).toBeLessThan(5_000)
  const patched = writes.flatMap(write => 'put' in write && !write.put.directory.includes('/') ? [write] : [])
  expect(patched).toHaveLength(COUNT)
  expect(patched.at(-1)?.stored.listing).toEqual(encodeListing([subdirectory(hashBytes(encodeListing([])))]))
})
