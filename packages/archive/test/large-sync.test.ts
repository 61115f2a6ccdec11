import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { encodeListing, FileSyncError, LIMITS, ROOT_PATH } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { ByteSlabs } from '../src/store/byte-slabs.ts'
import { Comparison } from '../src/compare/comparison.ts'
import { ScopeRules } from '../src/compare/scope.ts'
import type { Area, Sync } from '../src/index.ts'
import { WAS_NOTHING } from '../src/store/section.ts'
import type { Batch } from '../src/store/section.ts'
import { MemoryIndex } from '../src/testing/memory-index.ts'
import { World } from './support/in-memory.ts'
import { makePack } from './support/push.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const AREA = 'laptop'
const LONG = { timeout: 60_000 }
const TRAITS = { foldsNames: false, windowsNames: false }

function newComparison (index: MemoryIndex): Comparison {
  return new Comparison({
    index, area: AREA, traits: TRAITS, rules: new ScopeRules({ index, area: AREA, scope: undefined }), hash: hashBytes,
  })
}
const LINK: Entry = { kind: 'symlink', name: 'link' as Name, mtimeNs: 7n, target: 'x' }
const FILE: Entry = { kind: 'file', name: 'file' as Name, mtimeNs: 7n, mode: 0o644, sizeBytes: 1, fileId: 5n }
const CONTENT = Uint8Array.of(7)

/** Shows a sync a number of new directories, each with these entries. */
function compareMany (sync: Pick<Sync, 'compare'>, count: number, each: readonly Entry[]): void {
  const listing = encodeListing(each)
  const name = (i: number): Name => `d${String(i).padStart(7, '0')}` as Name
  const root = encodeListing(Array.from({ length: count }, (_, i) => ({
    kind: 'directory',
    name: name(i),
    mtimeNs: 7n,
    mode: 0o755,
    digest: hashBytes(listing),
  })))
  Array.from(sync.compare({ number: 0, directory: ROOT_PATH, bytes: root }))
  for (let i = 0; i < count; i++) Array.from(sync.compare({ number: i + 1, directory: name(i) as string as RelativePath, bytes: listing }))
}

/** Begins a sync of a number of new directories, each with these entries, and makes its plan. */
async function planMany (
  area: Area, count: number, each: readonly Entry[], options: { readonly client?: AbortSignal } = {},
): Promise<Sync> {
  const sync = await area.beginSync(options)
  compareMany(sync, count, each)
  sync.plan({ complete: true })
  return sync
}

/** The batches that the store is asked to place. */
function placedIn (world: World): Batch[] {
  const batches: Batch[] = []
  const place = world.store.place.bind(world.store)
  world.store.place = async (area, batch, how) => {
    batches.push(batch)
    return await place(area, batch, how)
  }
  return batches
}

test('very many directories are placed some thousands at a time', async () => {
  const world = new World()
  const area = await world.area()
  const batches = placedIn(world)
  const sync = await planMany(area, 10_000, [LINK])
  await sync.finish()
  expect(batches.map(({ sections }) => sections.length)).toEqual([4096, 4096, 10_001 - 2 * 4096])
  expect(world.mirror.filter(line => line.endsWith('/link -> x'))).toHaveLength(10_000)
  expect((await area.beginSync()).rootDigest).not.toEqual(hashBytes(encodeListing([])))
})

test('nothing is created for a client that left right after listing its files', async () => {
  const world = new World()
  const area = await world.area()
  const batches = placedIn(world)
  const sync = await planMany(area, 10_000, [LINK])
  await sync.abandon()
  expect(batches).toEqual([])
  expect(world.mirror).toEqual([])
  // The next sync finds the index in agreement with the mirror.
  const next = await area.beginSync()
  expect(next.rootDigest).toEqual(hashBytes(encodeListing([])))
  compareMany(next, 10_000, [LINK])
  next.plan({ complete: true })
  await next.finish()
  expect(world.mirror.filter(line => line.endsWith('/link -> x'))).toHaveLength(10_000)
})

test('no more directories are created for a client that left, and the next sync continues', async () => {
  const world = new World()
  const area = await world.area()
  const client = new AbortController()
  const batches = placedIn(world)
  const place = world.store.place.bind(world.store)
  world.store.place = async (area, batch, how) => {
    client.abort(new FileSyncError('PEER_GONE', 'It left.'))
    return await place(area, batch, how)
  }
  const sync = await planMany(area, 10_000, [LINK], { client: client.signal })
  await expect(sync.finish()).rejects.toMatchObject({ code: 'PEER_GONE' })
  await sync.abandon()
  expect(batches).toHaveLength(1)
  const next = await planMany(area, 10_000, [LINK])
  await next.finish()
  expect(world.mirror.filter(line => line.endsWith('/link -> x'))).toHaveLength(10_000)
})

test('what arrived from a client that left is stored, and the index matches the mirror', async () => {
  const world = new World()
  const area = await world.area()
  const sync = await planMany(area, 5000, [FILE, LINK])
  await sync.stagePack(makePack([{ task: 17, content: CONTENT }]))
  await sync.abandon()
  expect(area.stat('d0000017/file' as RelativePath)?.digest).toEqual(new Uint8Array(hashBytes(CONTENT)))
  expect(area.stat('d0000018/file' as RelativePath)).toBeUndefined()
  expect((await area.verify()).problems).toEqual([])
  const next = await area.beginSync()
  compareMany(next, 5000, [FILE, LINK])
  const { taskCount } = next.plan({ complete: true })
  expect(taskCount).toBe(4999)
  await next.abandon()
})

test('a sync uses no more memory than is counted for it, some 200 bytes for a directory of one file', () => {
  const comparison = newComparison(new MemoryIndex())
  const COUNT = 40_000
  const startBytes = usedBytes()
  compareMany({ compare: arrived => comparison.add(arrived) }, COUNT, [FILE])
  const grownBytes = usedBytes() - startBytes
  expect(comparison.directories).toHaveLength(COUNT + 1)
  expect(grownBytes / COUNT).toBeLessThan(comparison.heldBytes / COUNT)
  expect(comparison.heldBytes / COUNT).toBeLessThan(250)
})

test('a sync of very many directories that were all made and wait for their files takes less than 500 bytes for each', LONG, async () => {
  const COUNT = 25_000
  const world = new World()
  const area = await world.area()
  // What the store and the index would hold is not memory of the sync.
  world.index.write = () => Promise.resolve()
  world.store.appendHistory = () => Promise.resolve()
  let made = 0
  world.store.place = (_area, { sections }) => {
    const entries = sections.reduce((sum, { staged }) => sum + staged.length, 0)
    made += sections.length
    return Promise.resolve({ failures: [], before: new Uint16Array(entries).fill(WAS_NOTHING), agesMs: new Float64Array(entries) })
  }
  const startBytes = usedBytes()
  const sync = await planMany(area, COUNT, [FILE, LINK])
  expect((usedBytes() - startBytes) / COUNT).toBeLessThan(500)
  // The first batch takes only the directories that it needs, the second all others.
  for (const task of [0, 1]) {
    const stored = new Promise<void>(resolve => { sync.onStored = () => { resolve() } })
    await sync.stagePack(makePack([{ task, content: CONTENT }]))
    await stored
  }
  expect(made).toBeGreaterThan(COUNT)
  expect((usedBytes() - startBytes) / COUNT).toBeLessThan(500)
  await sync.abandon()
})

test('a million new directories fit into the memory limit of a sync, which no client can exceed', () => {
  const index = new MemoryIndex()
  const honest = newComparison(index)
  compareMany({ compare: arrived => honest.add(arrived) }, 1000, [FILE])
  expect(honest.heldBytes * 1000).toBeLessThan(LIMITS.syncBytes)
  const long = encodeListing([{ ...LINK, name: 'l'.repeat(255) as Name, target: 't'.repeat(4000) }])
  const bounded = newComparison(index)
  bounded.maxBytes = 1 << 20
  expect(() => {
    for (let i = 0; i < 1000; i++) Array.from(bounded.add({ number: i, directory: `d${String(i)}` as RelativePath, bytes: long }))
  }).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  expect(bounded.directories.length).toBeLessThan((1 << 20) / long.length)
})

test('listings that share a buffer keep their bytes, also when those around them are released', () => {
  const slabs = new ByteSlabs()
  const listings = Array.from({ length: 3000 }, (_, i) => new Uint8Array(i % 1100).fill(i))
  const places = listings.map(listing => slabs.hold(listing))
  const isReleased = (i: number): boolean => i % 3 !== 0 || (i > 500 && i < 1500)
  places.forEach((place, i) => { if (isReleased(i)) slabs.release(place) })
  const more = listings.map(listing => slabs.hold(listing))
  more.forEach((place, i) => { expect(slabs.at(place, i % 1100)).toEqual(listings[i]) })
  places.forEach((place, i) => { if (!isReleased(i)) expect(slabs.at(place, i % 1100)).toEqual(listings[i]) })
  // A long one, and short ones whose buffer has nothing else.
  expect(slabs.at(places[1099] ?? 0, 1099)).toHaveLength(0)
  expect(slabs.at(places[701] ?? 0, 701)).toHaveLength(0)
})

test('a directory whose listing was released still knows its subdirectories', async () => {
  const world = new World()
  const comparison = newComparison(world.index)
  compareMany({ compare: arrived => comparison.add(arrived) }, 20, [LINK])
  const root = comparison.directories.at(0)
  const before = [...root.states()]
  root.releaseListing()
  expect(root.listing).toHaveLength(0)
  expect(before).toHaveLength(20)
  expect([...root.states()]).toEqual(before)
})

function usedBytes (): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
