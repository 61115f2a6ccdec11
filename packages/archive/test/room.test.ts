import { expect, test } from 'vitest'
import { hashBytes } from '@filesync/protocol/node'
import type { RelativePath } from '@filesync/protocol'
import type { Area } from '../src/index.ts'
import { memoryArchive, MemoryIndex, MemoryStore } from '../src/testing/index.ts'
import { WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { LinkedSource, NAMES } from './support/linked-source.ts'
import { SourceTree } from './support/source-tree.ts'

const bytes = (count: number): Uint8Array => new Uint8Array(count)

interface Settings {
  readonly quotaBytes?: number
  readonly mode?: 'mirror' | 'archive'
  readonly freeBytes?: number
  readonly linksFiles?: boolean
}

async function areaWith (settings: Settings): Promise<Area> {
  const clock = new WallClock(Date.now())
  const { freeBytes, linksFiles = true, ...rest } = settings
  const traits = { foldsNames: false, windowsNames: false, linksFiles }
  const store = new MemoryStore({ hash: hashBytes, clock, traits, ...(freeBytes !== undefined && { freeBytes }) })
  return await memoryArchive({ hash: hashBytes, clock, store, ...rest }).area('laptop')
}

const noRoom = (path: string, why: RegExp): unknown => ({ path, code: 'NO_ROOM', message: expect.stringMatching(why) as unknown })

test('a mirror may grow to its quota, to the byte, and files beyond it are problems', async () => {
  const area = await areaWith({ quotaBytes: 1000 })
  const source = new SourceTree().write('a', bytes(400)).write('d/b', bytes(600))
  expect((await push(area, source)).files).toBe(2)
  source.write('c', bytes(1))
  expect(await push(area, source)).toMatchObject({
    asked: [],
    files: 0,
    problems: [noRoom('c', /it would add 1 B, and the quota leaves 0 B.*--quota/u)],
    problemCount: 1,
  })
  // The client helps itself by removing something.
  source.write('a', bytes(399))
  expect(await push(area, source)).toMatchObject({ files: 2, problems: [] })
  expect((await push(area, source)).listings).toBe(0)
})

test('a file that does not fit does not keep others from being stored, whatever limits the room', async () => {
  for (const settings of [{ quotaBytes: 1000 }, { freeBytes: 1000 }]) {
    const area = await areaWith(settings)
    const source = new SourceTree()
      .write('d/video', bytes(5000)).write('d/thesis', bytes(10)).write('film', bytes(991)).write('z', bytes(900))
    const first = await push(area, source)
    expect(first).toMatchObject({ asked: ['z', 'd/thesis'], files: 2, problemCount: 2 })
    expect(first.problems).toEqual([
      noRoom('film', /(needs|would add) 991 B.*90 B/u), noRoom('d/video', /(needs|would add) 5.00 kB.*90 B/u),
    ])
    expect(area.stat('d/thesis' as RelativePath)?.sizeBytes).toBe(10)
    // Nothing was forgotten of them, and the same are chosen again.
    if ('quotaBytes' in settings) expect(await push(area, source)).toMatchObject({ asked: [], problemCount: 2, problems: first.problems })
  }
})

test('a file that does not fit leaves the file or directory that it was to replace', async () => {
  const area = await areaWith({ quotaBytes: 1000 })
  const source = new SourceTree().write('a', bytes(300)).write('kind/x', bytes(200)).write('kind/y', bytes(100))
  await push(area, source)
  source.write('a', bytes(900)).remove('kind').write('kind', bytes(5000)).write('new', bytes(400))
  expect(await push(area, source)).toMatchObject({
    asked: ['new'],
    deleted: 0,
    problems: [noRoom('a', /600 B|900 B/u), noRoom('kind', /5.00 kB/u)],
  })
  expect(['a', 'kind/x', 'kind/y', 'new'].map(path => area.stat(path as RelativePath)?.sizeBytes)).toEqual([300, 200, 100, 400])
  expect((await area.verify()).problems).toEqual([])
  // In the place of the directory there is room for what the directory frees.
  source.write('a', bytes(100)).write('kind', bytes(500))
  expect(await push(area, source)).toMatchObject({ asked: ['a', 'kind'], problems: [] })
  expect((await push(area, source)).listings).toBe(0)
})

test('a smaller version of a file is stored in a mirror that exceeds its quota', async () => {
  const clock = new WallClock(Date.now())
  const store = new MemoryStore({ hash: hashBytes, clock })
  const index = new MemoryIndex()
  const opened = (quotaBytes: number): Promise<Area> => memoryArchive({ hash: hashBytes, clock, store, index, quotaBytes }).area('laptop')
  const source = new SourceTree().write('a', bytes(900)).write('b', bytes(900))
  await push(await opened(2000), source)
  source.write('a', bytes(800)).write('c', bytes(1))
  expect(await push(await opened(1000), source)).toMatchObject({ asked: ['a'], problems: [noRoom('c', /leaves 0 B/u)] })
})

test('deletions and moves make room, but files that an incomplete scan did not see do not', async () => {
  const area = await areaWith({ quotaBytes: 1000 })
  const source = new SourceTree().write('a', bytes(900))
  await push(area, source)
  source.move('a', 'moved')
  expect(await push(area, source)).toMatchObject({ asked: [], renamed: 1 })
  source.remove('moved').write('other', bytes(950))
  expect(await push(area, source, { complete: false })).toMatchObject({ asked: [], problems: [noRoom('other', /leaves 100 B/u)] })
  expect((await push(area, source)).files).toBe(1)
})

test('moving files needs no room on the disk', async () => {
  const area = await areaWith({ freeBytes: 1000 })
  const source = new SourceTree().write('d/a', bytes(700)).write('d/b', bytes(300))
  await push(area, source)
  source.move('d', 'e').write('new', bytes(1000))
  expect(await push(area, source)).toMatchObject({ asked: ['new'], renamed: 2 })
  expect(await push(area, source.write('more', bytes(1001)))).toMatchObject({ asked: [], problems: [noRoom('more', /--reserve/u)] })
})

test('moved files that get another mode need room for copies, and one without room is a problem and keeps its old content', async () => {
  const area = await areaWith({ freeBytes: 1000 })
  const source = new SourceTree().write('large', bytes(700))
  await push(area, source)
  await push(area, source.write('small', bytes(400)))
  for (const name of ['large', 'small']) Object.assign(source.move(name, `d/${name}`).at(`d/${name}`), { mode: 0o600 })
  const problems = [noRoom('d/small', /it needs 400 B, and 300 B is available/u)]
  expect(await push(area, source)).toMatchObject({ asked: [], renamed: 1, problems })
  expect(await area.checkSafe([{ path: asPath('d/large'), kind: 'file', digest: hashBytes(bytes(700)) }])).toEqual([
    expect.objectContaining({ verdict: 'safe' }),
  ])
  expect((await area.versions(asPath('small'))).map(({ path }) => path)).toEqual(['small'])
  // The copy is on the disk by now, and here the disk has as much room as before.
  expect(await push(area, source)).toMatchObject({ asked: ['d/small'], problems: [] })
})

test('names of one file need its room on the disk once if the store can link them, otherwise each', async () => {
  const source = new LinkedSource().names(bytes(600))
  const linking = await areaWith({ freeBytes: 1000 })
  expect(await push(linking, source)).toMatchObject({ files: 5, bytes: 600, problems: [] })
  const copying = await areaWith({ freeBytes: 1000, linksFiles: false })
  expect(await push(copying, source)).toMatchObject({ asked: ['a'], files: 1, problemCount: 4 })
  const full = await areaWith({ freeBytes: 100 })
  const { files, problems } = await push(full, source)
  expect([files, problems.map(({ path, code }) => `${code} ${path}`).sort()]).toEqual([0, NAMES.map(path => `NO_ROOM ${path}`)])
})

test('a further name of a stored file needs no room on the disk, and counts for the quota', async () => {
  const source = new LinkedSource().names(bytes(600), ['a'])
  for (const [settings, stored] of [[{ freeBytes: 601 }, 1], [{ quotaBytes: 1000 }, 0]] as const) {
    const area = await areaWith(settings)
    await push(area, source)
    const more = new LinkedSource()
    Object.assign(more.root, structuredClone(source.root))
    more.name('b', 'a')
    expect(await push(area, more)).toMatchObject({ asked: [], files: stored, bytes: 0, problemCount: 1 - stored })
  }
})
