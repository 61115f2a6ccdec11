import { expect, test } from 'vitest'
import type { RelativePath } from '@filesync/protocol'
import { newArchive, newFolder } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const sample = (): SourceTree => new SourceTree()
  .write('a', '1').write('d/b', '22').write('d/e/c', '333').write('d/f', '').link('link', 'a').mkdir('nothing')

test('looking up many paths gives the same result as looking up each of them', async () => {
  const area = await (await newArchive({ root: newFolder() })).area('laptop')
  await push(area, sample())
  const paths = ['d/e/c', 'a', 'd/b', 'd/absent', 'absent/a', 'd', 'link', 'nothing', 'd/b'] as RelativePath[]
  const found = new Map([...area.lookup(paths)].map(({ path, file }) => [path, file]))
  expect([...found.keys()].sort()).toEqual(['a', 'd/b', 'd/e/c'])
  for (const [path, file] of found) expect(file).toEqual(area.stat(path))
})

test('the size of a mirror follows its syncs, and is available during one', async () => {
  const archive = await newArchive({ root: newFolder() })
  const area = await archive.area('laptop')
  expect(await area.size()).toEqual({ files: 0, bytes: 0 })
  const source = sample()
  await push(area, source)
  expect(await area.size()).toEqual({ files: 4, bytes: 6 })
  source.write('more', new Uint8Array(1000)).remove('d/b')
  await push(area, source)
  expect(await area.size()).toEqual({ files: 4, bytes: 1004 })
  const sync = await area.beginSync()
  expect(await area.size()).toEqual({ files: 4, bytes: 1004 })
  await sync.abandon()
  const { totalBytes, freeBytes, reserveBytes } = await archive.room()
  expect(freeBytes).toBeLessThanOrEqual(totalBytes)
  expect(reserveBytes).toBeGreaterThanOrEqual(0)
})
