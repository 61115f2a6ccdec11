import { encodeListing } from '@filesync/protocol'
import type { Digest, Entry, FileEntry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { ComparedDirectory } from '../src/compare/compared-directory.ts'
import { DirectoryLedger } from '../src/commit/directory-ledger.ts'
import { cutSection } from '../src/compare/cut-section.ts'
import { NOT_STAGED } from '../src/store/section.ts'
import { MemoryIndex } from '../src/testing/memory-index.ts'

const AREA = 'laptop'

function file (name: string): FileEntry {
  return { kind: 'file', name: name as Name, sizeBytes: 3, mode: 0o644, mtimeNs: 5n, fileId: 1n }
}

function compared (directory: string, names: readonly string[]): ComparedDirectory {
  const listing = encodeListing(names.map(file))
  return new ComparedDirectory({
    number: 0,
    directory: directory as RelativePath,
    isNew: true,
    listing: { bytes: listing, start: 0, end: listing.length },
    wanted: names.map((_, i) => i),
  })
}

function ledgerOf (directories: readonly ComparedDirectory[], index: MemoryIndex = new MemoryIndex()): DirectoryLedger {
  const owners = new Map(directories.map(({ directory }, owner) => [directory, owner]))
  return new DirectoryLedger({ index, area: AREA, hash: hashBytes, directories, owners }, { removals: [], forgotten: [] })
}

test('the listing of a directory is released when all of it is ready for the index, and not before', () => {
  const one = compared('one', ['a', 'b'])
  const other = compared('other', ['c'])
  const ledger = ledgerOf([one, other])
  const whole = one.listing
  const first = cutSection(one, [0], [0])
  ledger.addPlaced(0, [first], [first])
  expect(ledger.takeReady()).toEqual([])
  expect(one.listing).toBe(whole)
  const second = cutSection(one, [1], [1])
  ledger.addPlaced(1, [second], [second])
  expect(ledger.takeReady()).toContainEqual(expect.objectContaining({
    put: { area: AREA, directory: 'one' },
    stored: expect.objectContaining({ listing: whole }) as unknown,
  }))
  expect([one.listing.length, one.startOf(0)]).toEqual([0, undefined])
  expect(other.listing.length).toBeGreaterThan(0)
})

test('updating the digests of many directories that are in the index already costs the same for each', () => {
  const COUNT = 30_000
  const directories: ComparedDirectory[] = []
  const subdirectory = (digest: Digest): Entry => ({ kind: 'directory', name: 'sub' as Name, mtimeNs: 5n, mode: 0o755, digest })
  const claimed = hashBytes(encodeListing([file('never comes')]))
  for (let number = 0; number < COUNT; number++) {
    const directory = `d${String(number)}` as RelativePath
    const listing = encodeListing([subdirectory(claimed)])
    directories.push(new ComparedDirectory({
      number,
      directory,
      isNew: true,
      listing: { bytes: listing, start: 0, end: listing.length },
      wanted: [],
      structure: [0],
    }))
    directories.push(compared(`${directory}/sub`, ['never comes']))
  }
  const index = new MemoryIndex()
  const ledger = ledgerOf(directories, index)
  const structure = directories.filter(({ structure }) => structure.length > 0).map(directory => cutSection(directory, [0], [NOT_STAGED]))
  ledger.addPlaced(0, structure, structure)
  void index.write(ledger.takeReady())
  const startMs = performance.now()
  const writes = [...ledger.takeRest()].flat()
  expect(performance.now() - startMs).toBeLessThan(5_000)
  const patched = writes.flatMap(write => 'put' in write && !write.put.directory.includes('/') ? [write] : [])
  expect(patched).toHaveLength(COUNT)
  expect(patched.at(-1)?.stored.listing).toEqual(encodeListing([subdirectory(hashBytes(encodeListing([])))]))
})
