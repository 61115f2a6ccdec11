import { appendFileSync, mkdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashBytes } from '@filesync/protocol/node'
import type { ExternalChanges } from '../src/index.ts'
import { memoryArchive, MemoryStore } from '../src/testing/index.ts'
import { describeFolder, describeSource, WallClock } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { storeArea } from './support/stored-area.ts'
import type { StoredArea } from './support/stored-area.ts'

const NOTHING: ExternalChanges = { changed: [], removed: [], added: [] }

async function stored (): Promise<StoredArea> {
  const source = new SourceTree()
  for (let d = 0; d < 4; d++) {
    for (let f = 0; f < 10; f++) source.write(`d${String(d)}/sub${String(d)}/f${String(f)}`, `${String(d)} ${String(f)}`)
  }
  source.write('d0/top', 'x').mkdir('empty')
  const store = await storeArea(source)
  // The first check learns the time of the root.
  expect(await store.area.checkMirror({ directories: 100, entries: 10 })).toEqual(NOTHING)
  return store
}

test('a quick check of directory times finds what was added, removed or exchanged anywhere', async () => {
  const { root, area, source, at } = await stored()
  rmSync(at('d0/sub0/f3'))
  // Right after the client changed the directory as well.
  const givenMs = statSync(at('d1/sub1')).mtimeMs
  writeFileSync(at('d1/sub1/mine'), 'by hand')
  utimesSync(at('d1/sub1'), (givenMs + 5) / 1000, (givenMs + 5) / 1000)
  mkdirSync(at('empty/new'))
  writeFileSync(at('d2/sub2/new'), 'another')
  renameSync(at('d2/sub2/new'), at('d2/sub2/f5'))
  const found = await area.checkMirror({ directories: 100, entries: 1000 })
  expect(found).toEqual({ changed: ['d2/sub2/f5'], removed: ['d0/sub0/f3'], added: ['empty/new', 'd1/sub1/mine'] })
  expect(await area.checkMirror({ directories: 100, entries: 1000 })).toEqual(NOTHING)
  expect((await push(area, source)).asked.sort()).toEqual(['d0/sub0/f3', 'd2/sub2/f5'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('a quick check also finds changes in the root and missing directories', async () => {
  const { area, at } = await stored()
  writeFileSync(at('mine'), 'by hand')
  rmSync(at('empty'), { recursive: true })
  rmSync(at('d3/sub3'), { recursive: true })
  expect(await area.checkMirror({ directories: 100, entries: 1000 })).toEqual({
    changed: [],
    removed: ['empty', 'd3/sub3'],
    added: ['mine'],
  })
  expect(await area.checkMirror({ directories: 100, entries: 1000 })).toEqual(NOTHING)
})

test('a file overwritten in place is found in the course of a round, a few entries at a time', async () => {
  const { area, at } = await stored()
  appendFileSync(at('d3/sub3/f7'), ' and more')
  const found: string[] = []
  // 46 entries and directories, five at a time.
  for (let i = 0; i < 12; i++) found.push(...(await area.checkMirror({ directories: 100, entries: 5 })).changed)
  expect(found).toEqual(['d3/sub3/f7'])
  appendFileSync(at('d0/top'), ' and more')
  for (let i = 0; i < 12; i++) found.push(...(await area.checkMirror({ directories: 100, entries: 5 })).changed)
  expect(found).toEqual(['d3/sub3/f7', 'd0/top'])
})

test('checks a few directories at a time, and restores the time of a directory with no other change', async () => {
  const { area, at } = await stored()
  const before = statSync(at('d2/sub2')).mtimeMs
  utimesSync(at('d2/sub2'), 1, 1)
  rmSync(at('d3/sub3/f1'))
  const removed: string[] = []
  for (let i = 0; i < 10; i++) removed.push(...(await area.checkMirror({ directories: 2, entries: 1 })).removed)
  expect(removed).toEqual(['d3/sub3/f1'])
  expect(statSync(at('d2/sub2')).mtimeMs).toBeCloseTo(before, 2)
})

test('does not check while a sync is running', async () => {
  const { area, at } = await stored()
  rmSync(at('d0/top'))
  const sync = await area.beginSync()
  expect(await area.checkMirror({ directories: 100, entries: 100 })).toEqual(NOTHING)
  await sync.abandon()
  expect((await area.checkMirror({ directories: 100, entries: 100 })).removed).toEqual(['d0/top'])
})

test('a quick check of a large mirror lists no directory, and looks up no more entries than allowed', async () => {
  const clock = new WallClock(Date.now())
  const store = new MemoryStore({ hash: hashBytes, clock })
  const asked = { entries: 0, lists: 0 }
  const [find, list] = [store.find.bind(store), store.list.bind(store)]
  store.find = async (area, directory, names) => { asked.entries += names.length; return await find(area, directory, names) }
  store.list = async (area, directory) => { asked.lists++; return await list(area, directory) }
  const area = await memoryArchive({ hash: hashBytes, clock, store }).area('laptop')
  const source = new SourceTree()
  for (let d = 0; d < 50; d++) for (let f = 0; f < 40; f++) source.write(`d${String(d)}/f${String(f)}`, 'x')
  await push(area, source)
  await area.checkMirror({ directories: 100, entries: 200 })
  Object.assign(asked, { entries: 0, lists: 0 })
  expect(await area.checkMirror({ directories: 100, entries: 200 })).toEqual(NOTHING)
  expect(asked.lists).toBe(0)
  // The root itself, its 50 directories, and the entries.
  expect(asked.entries).toBeLessThanOrEqual(251)
})
