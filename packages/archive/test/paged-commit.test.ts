import { encodeListing, LIMITS, listingDigest, ROOT_PATH } from '@filesync/protocol'
import type { Digest, Entry, FileEntry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { DirectoryLedger } from '../src/commit/directory-ledger.ts'
import { ComparedDirectories } from '../src/compare/compared-directories.ts'
import { cutSection } from '../src/compare/cut-section.ts'
import type { IndexWrite } from '../src/store/archive-index.ts'
import { FACT_BYTES } from '../src/store/facts.ts'
import { NOT_STAGED } from '../src/store/section.ts'
import { MemoryIndex } from '../src/testing/memory-index.ts'
import { describeMemory, describeWanted, World } from './support/in-memory.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const AREA = 'laptop'
const BIG = 'big' as RelativePath
const NOTHING_LEAVES = { removals: [], forgotten: [] }

function nameOf (number: number): Name {
  return `file ${String(number).padStart(6, '0')}` as Name
}

function file (number: number, version = 1): FileEntry {
  return { kind: 'file', name: nameOf(number), sizeBytes: 3, mode: 0o644, mtimeNs: BigInt(version), fileId: 1n }
}

function subdirectory (number: number, digest: Digest): Entry {
  return { kind: 'directory', name: nameOf(number), mtimeNs: 1n, mode: 0o755, digest }
}

function factsOf (count: number): Uint8Array {
  return new Uint8Array(count * FACT_BYTES)
}

/** An index that refuses to join the pages of the large directory, and counts the pages of it that are written. */
class PageIndex extends MemoryIndex {
  pagesWritten = 0
  journalsRemoved = 0
  isWatching = false

  override directory (key: Parameters<MemoryIndex['directory']>[0]): ReturnType<MemoryIndex['directory']> {
    if (this.isWatching && key.directory === BIG) throw new Error('The whole directory was read.')
    return super.directory(key)
  }

  override listing (key: Parameters<MemoryIndex['listing']>[0]): ReturnType<MemoryIndex['listing']> {
    if (this.isWatching && key.directory === BIG) throw new Error('The whole listing was read.')
    return super.listing(key)
  }

  override async write (writes: readonly IndexWrite[]): Promise<void> {
    for (const write of writes) {
      if ('put' in write && write.put.directory === BIG) this.pagesWritten += Infinity
      if ('patch' in write) this.pagesWritten += write.leaves.filter(page => 'stored' in page).length
      if ('journal' in write) this.journalsRemoved++
    }
    await super.write(writes)
  }
}

test('a change in a large directory reads and writes the pages concerned, and leaves its parent alone', async () => {
  const COUNT = 50_000
  const entries = Array.from({ length: COUNT }, (_, i) => file(i))
  const index = new PageIndex()
  await index.write([{ put: { area: AREA, directory: BIG }, stored: { listing: encodeListing(entries), facts: factsOf(COUNT) } }])
  entries[30_000] = file(30_000, 2)
  const digest = listingDigest(encodeListing(entries), hashBytes)
  const directories = new ComparedDirectories()
  directories.add({
    number: 0, directory: BIG, isNew: false, listing: encodeListing([file(30_000, 2)]), part: { digest, indices: Uint32Array.of(30_000) },
  })
  const ledger = new DirectoryLedger({ index, area: AREA, hash: hashBytes, directories }, NOTHING_LEAVES)
  index.isWatching = true
  index.pagesWritten = 0
  const section = cutSection(directories.at(0), [0], [0])
  ledger.addPlaced(0, [section], [section])
  for (const writes of ledger.takeReady()) await index.write(writes)
  expect(index.pagesWritten).toBe(1)
  expect([...ledger.takeRest()]).toEqual([])
  expect(index.digest({ area: AREA, directory: BIG })).toEqual(digest)
})

test('another digest of one subdirectory among thousands rewrites one page of their parent', async () => {
  const COUNT = 5000
  const empty = hashBytes(encodeListing([]))
  const claimed = hashBytes(encodeListing([file(7)]))
  const index = new PageIndex()
  const known = Array.from({ length: COUNT }, (_, i) => subdirectory(i, empty))
  await index.write([
    { put: { area: AREA, directory: BIG }, stored: { listing: encodeListing(known), facts: factsOf(0) } },
    ...known.map(({ name }) => ({
      put: { area: AREA, directory: `${BIG}/${name}` as RelativePath }, stored: { listing: encodeListing([]), facts: factsOf(0) },
    })),
  ])
  const listed = known.map((entry, i) => i === 2500 ? subdirectory(i, claimed) : entry)
  const directories = new ComparedDirectories()
  directories.add({
    number: 0, directory: BIG, isNew: false, listing: encodeListing([subdirectory(2500, claimed)]),
    part: { digest: listingDigest(encodeListing(listed), hashBytes), indices: Uint32Array.of(2500) },
  })
  const inside = `${BIG}/${nameOf(2500)}` as RelativePath
  directories.add({ number: 1, directory: inside, isNew: false, listing: encodeListing([file(7)]) })
  const ledger = new DirectoryLedger({ index, area: AREA, hash: hashBytes, directories }, NOTHING_LEAVES)
  index.isWatching = true
  index.pagesWritten = 0
  const structure = cutSection(directories.at(0), [0], [NOT_STAGED])
  ledger.addPlaced(0, [structure], [structure])
  // The file inside never comes, so the subdirectory stays as it was.
  for (const writes of ledger.takeReady()) await index.write(writes)
  expect(index.pagesWritten).toBe(1)
  for (const writes of ledger.takeRest()) await index.write(writes)
  expect(index.pagesWritten).toBe(2)
  expect(index.digest({ area: AREA, directory: BIG })).toEqual(listingDigest(encodeListing(known), hashBytes))
})

test('very many files of one directory are written while more arrive, and their journal entries end', async () => {
  const [COUNT, AT_ONCE] = [80_000, 4096]
  const listing = encodeListing(Array.from({ length: COUNT }, (_, i) => file(i)))
  const directories = new ComparedDirectories()
  directories.add({ number: 0, directory: BIG, isNew: true, listing })
  const index = new PageIndex()
  index.isWatching = true
  const ledger = new DirectoryLedger({ index, area: AREA, hash: hashBytes, directories }, NOTHING_LEAVES)
  let [batches, mostWaiting] = [0, 0]
  for (let at = 0; at < COUNT; at += AT_ONCE) {
    const places = Array.from({ length: Math.min(AT_ONCE, COUNT - at) }, (_, i) => at + i)
    const section = cutSection(directories.at(0), places, places)
    ledger.addPlaced(batches++, [section], [section])
    for (const writes of ledger.takeReady()) await index.write(writes)
    mostWaiting = Math.max(mostWaiting, batches - index.journalsRemoved)
  }
  expect(mostWaiting).toBeLessThan(40_000 / AT_ONCE)
  expect(index.journalsRemoved).toBe(batches)
  const { leaves = [] } = index.pages({ area: AREA, directory: BIG }) ?? {}
  // Only the last page before each time is written twice.
  expect(index.pagesWritten).toBeLessThanOrEqual(leaves.length + 3)
  expect(index.digest({ area: AREA, directory: BIG })).toEqual(listingDigest(listing, hashBytes))
  expect([...ledger.takeRest()]).toEqual([])
})

/** A directory of several pages; with changes on all of them, and names that come, go, or change their kind. */
function sourceOf (isAfter: boolean): SourceTree {
  const source = new SourceTree()
  const count = LIMITS.pageEntries + 300
  for (let i = 0; i < count; i++) source.write(`${BIG}/${nameOf(i)}`, isAfter && i % 50 === 3 ? 'changed' : 'x')
  source.write(`${BIG}/zz/in`, isAfter ? 'newer' : 'old')
  if (!isAfter) return source
  for (let i = 0; i < 40; i++) source.write(`${BIG}/another ${String(i)}`, 'more')
  for (let i = 100; i < 200; i += 7) source.remove(`${BIG}/${nameOf(i)}`)
  return source.remove(`${BIG}/${nameOf(500)}`).write(`${BIG}/${nameOf(500)}/deep`, 'now a directory')
}

test('a sync of a large directory that ends at any step leaves pages as if it were stored at once', { timeout: 240_000 }, async () => {
  const wanted = sourceOf(true)
  let isWhole = false
  for (let step = 1; !isWhole; step++) {
    const world = new World()
    await push(await world.area(), sourceOf(false))
    world.clock.jump(1000)
    const area = await world.area()
    await area.release()
    world.failure = { at: world.calls + step, error: new Error('The process was killed.') }
    isWhole = await push(area, wanted).then(() => true, () => false)
    world.failure = undefined
    const ensurePages = (): void => {
      const pages = world.index.pages({ area: AREA, directory: BIG })
      const listing = world.index.listing({ area: AREA, directory: BIG }) ?? new Uint8Array(0)
      expect(pages?.leaves.length, `step ${String(step)}`).toBeGreaterThan(1)
      expect(pages?.tree().digest, `step ${String(step)}`).toEqual(listingDigest(listing, hashBytes))
    }
    ensurePages()
    const again = await world.area()
    ensurePages()
    await again.release()
    await push(again, wanted)
    ensurePages()
    expect(describeMemory(world.store.root.below(AREA)), `step ${String(step)}`).toEqual(describeWanted(wanted))
    expect(world.index.digest({ area: AREA, directory: ROOT_PATH }), `step ${String(step)}`).toEqual(wanted.snapshot().rootDigest)
    expect((await push(again, wanted)).listings, `step ${String(step)}`).toBe(0)
  }
})
