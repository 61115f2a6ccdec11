import { expect, test } from 'vitest'
import { hashBytes } from '@filesync/protocol/node'
import type { Area } from '../src/index.ts'
import { memoryArchive, MemoryStore } from '../src/testing/index.ts'
import { WallClock } from './on-disk.ts'
import { push } from './push.ts'
import { SourceTree } from './source-tree.ts'

const bytes = (count: number): Uint8Array => new Uint8Array(count)

async function areaWith (settings: { readonly quotaBytes?: number, readonly mode?: 'mirror' | 'archive', readonly freeBytes?: number }): Promise<Area> {
  const clock = new WallClock(Date.now())
  const { freeBytes, ...rest } = settings
  const store = new MemoryStore({ hash: hashBytes, clock, ...(freeBytes !== undefined && { freeBytes }) })
  return await memoryArchive({ hash: hashBytes, clock, store, ...rest }).area('laptop')
}

test('a mirror may become as large as its quota, to the byte, and no larger', async () => {
  const area = await areaWith({ quotaBytes: 1000 })
  const source = new SourceTree().write('a', bytes(400)).write('d/b', bytes(600))
  expect((await push(area, source)).files).toBe(2)
  source.write('c', bytes(1))
  await expect(push(area, source)).rejects.toMatchObject({ code: 'ARCHIVE_FULL', message: expect.stringContaining('would take 1.00 kB, which is 1 B more than its quota.') as string })
  // Nothing was stored, and the client helps itself by removing something.
  source.write('a', bytes(399))
  expect(await push(area, source)).toMatchObject({ files: 2, problems: [] })
  expect((await push(area, source)).listings).toBe(0)
})

test('what is deleted or moved makes room, and what an incomplete scan did not see does not', async () => {
  const area = await areaWith({ quotaBytes: 1000 })
  const source = new SourceTree().write('a', bytes(900))
  await push(area, source)
  source.move('a', 'moved')
  expect(await push(area, source)).toMatchObject({ asked: [], renamed: 1 })
  source.remove('moved').write('other', bytes(950))
  await expect(push(area, source, { complete: false })).rejects.toMatchObject({ code: 'ARCHIVE_FULL' })
  expect((await push(area, source)).files).toBe(1)
})

test('moving files needs no room on the disk', async () => {
  const area = await areaWith({ freeBytes: 1000 })
  const source = new SourceTree().write('d/a', bytes(700)).write('d/b', bytes(300))
  await push(area, source)
  source.move('d', 'e').write('new', bytes(1000))
  expect(await push(area, source)).toMatchObject({ asked: ['new'], renamed: 2 })
  await expect(push(area, source.write('more', bytes(1001)))).rejects.toMatchObject({ code: 'ARCHIVE_FULL', message: expect.stringContaining('--reserve') as string })
})
