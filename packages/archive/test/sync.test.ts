import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { equalDigests } from '@filesync/protocol'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './on-disk.ts'
import { push } from './push.ts'
import { SourceTree } from './source-tree.ts'

function sample (): SourceTree {
  return new SourceTree()
    .write('readme.txt', 'hello')
    .write('empty', '')
    .write('photos/2024/a.jpg', 'aaaa')
    .write('photos/2024/b.jpg', 'bbbb', 0o600)
    .write('photos/ünï ✓.txt', 'unicode')
    .write('run.sh', '#!/bin/sh', 0o755)
    .write('large.bin', new Uint8Array(700_000).map((_, i) => i * 7))
    .mkdir('nothing/in/here')
    .link('photos/latest', '2024/b.jpg')
}

test('stores a tree as it is and says so', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  const area = await archive.area('laptop')
  const source = sample()
  const first = await push(area, source)
  expect(first.problems).toEqual([])
  expect(first).toMatchObject({ files: 7, deleted: 0, renamed: 0 })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(readdirSync(join(root, '.filesync/staging'))).toEqual([])

  const sync = await area.beginSync()
  expect(equalDigests(sync.rootDigest, source.snapshot().rootDigest)).toBe(true)
  await sync.abandon()
})

test('asks only for what changed, and keeps what it replaces and deletes', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  await push(area, source)
  source.write('photos/2024/a.jpg', 'new content').remove('readme.txt').write('fresh', 'f')
  const second = await push(area, source)
  expect(second.asked.sort()).toEqual(['fresh', 'photos/2024/a.jpg'])
  expect(second).toMatchObject({ files: 2, deleted: 1, renamed: 0, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop')).toEqual(['photos/2024/a.jpg', 'readme.txt'])
  expect((await push(area, source)).listings).toBe(0)
})
