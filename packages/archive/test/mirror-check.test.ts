import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { storeArea } from './support/stored-area.ts'
import type { StoredArea } from './support/stored-area.ts'

const ALL = { directories: 1000 }

async function stored (deletions: 'mirror' | 'archive' = 'mirror'): Promise<StoredArea> {
  const source = new SourceTree()
    .write('top', 'one').write('d/a', 'two').write('d/e/b', 'three').write('gone/c', 'four').link('l', 'top').link('out', '/etc')
  return await storeArea(source, { deletions })
}

test('finds nothing and writes nothing if nothing was changed', async () => {
  const { area, source } = await stored()
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: [] })
  expect((await push(area, source)).listings).toBe(0)
})

test('files changed or removed by hand are sent again at the next sync, and changed ones stay as versions', async () => {
  const { root, area, source, at } = await stored()
  appendFileSync(at('d/a'), ' and more')
  rmSync(at('top'))
  rmSync(at('gone'), { recursive: true })
  rmSync(at('l'))
  expect(await area.checkMirror(ALL)).toEqual({ changed: ['d/a'], removed: ['gone', 'l', 'top'], added: [] })
  expect(area.stat(asPath('d/a'))).toBeUndefined()
  // Looking again finds no more, and does not take what it marked for right.
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: [] })
  expect((await push(area, source)).asked.sort()).toEqual(['d/a', 'gone/c', 'top'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop')).toEqual(['d/a'])
  expect((await push(area, source)).listings).toBe(0)
})

const byHand: readonly [what: string, alter: (path: string) => void, versions: readonly string[]][] = [
  ['other content of the same size', path => { writeFileSync(path, 'TWO') }, ['d/a']],
  ['more content', path => { appendFileSync(path, ' and more') }, ['d/a']],
  ['nothing', path => { rmSync(path) }, []],
  ['a link', path => { rmSync(path); symlinkSync('e/b', path) }, ['d/a']],
  ['a directory', path => { rmSync(path); mkdirSync(path); writeFileSync(join(path, 'in'), 'it') }, ['d/a/in']],
]

test.each(byHand)('a file that is to get another mode is sent by the next sync if it now has %s', async (_, alter, versions) => {
  const { root, area, source, at } = await stored()
  const file = source.at('d/a') as { mode: number }
  file.mode = 0o600
  alter(at('d/a'))
  const first = await push(area, source)
  expect(first.problems).toMatchObject([{
    path: 'd/a',
    code: 'STORE_FAILED',
    message: 'the server could not store it: it was changed or removed in the archive by hand; the next sync sends it again',
  }])
  expect(first.asked).toEqual([])
  expect(area.stat(asPath('d/a'))).toBeUndefined()
  expect((await push(area, source)).asked).toEqual(['d/a'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop')).toEqual(versions)
  expect((await area.verify()).problems).toEqual([])
  expect((await push(area, source)).listings).toBe(0)
})

test('a moved file that was altered by hand in the archive is sent, and its altered copy stays as a version', async () => {
  const { root, area, source, at } = await stored()
  writeFileSync(at('d/a'), 'TWO')
  source.move('d', 'moved')
  const first = await push(area, source)
  expect(first).toMatchObject({ problems: [], asked: ['moved/a'], renamed: 1 })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop')).toEqual(['d/a', 'd/e/b'])
  expect((await push(area, source)).listings).toBe(0)
})

test('files added by hand move to versions at the next sync, but not after an incomplete scan', async () => {
  const { root, area, source, at } = await stored()
  writeFileSync(at('d/mine'), 'by hand')
  mkdirSync(at('new/deep'), { recursive: true })
  writeFileSync(at('new/deep/file'), 'as well')
  symlinkSync('top', at('link'))
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: ['link', 'new', 'd/mine'] })
  expect((await area.verify()).problems).toEqual([])
  expect((await push(area, source, { complete: false })).asked).toEqual([])
  expect(readFileSync(at('d/mine'), 'utf8')).toBe('by hand')
  expect(statSync(at('new')).mtimeMs).toBeGreaterThan(Date.now() - 60_000)
  await push(area, source)
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop').sort()).toEqual(['d/mine', 'link', 'new/deep/file'])
  expect((await push(area, source)).listings).toBe(0)
})

test('a file of the client is sent, whatever was put in its place by hand', async () => {
  const { root, area, source, at } = await stored()
  writeFileSync(at('soon'), 'by hand')
  expect((await area.checkMirror(ALL)).added).toEqual(['soon'])
  source.write('soon', 'content')
  expect((await push(area, source)).asked).toEqual(['soon'])
  expect(readFileSync(at('soon'), 'utf8')).toBe('content')
  expect(versionsIn(root, 'laptop')).toEqual(['soon'])
})

test('continues where it stopped, a few directories at a time, and starts again after the last', async () => {
  const { area, at } = await stored()
  rmSync(at('d/e/b'))
  rmSync(at('top'))
  const found: string[][] = []
  for (let i = 0; i < 4; i++) found.push((await area.checkMirror({ directories: 1 })).removed)
  expect(found.flat().sort()).toEqual(['d/e/b', 'top'])
  rmSync(at('d/a'))
  for (let i = 0; i < 4; i++) found.push((await area.checkMirror({ directories: 1 })).removed)
  expect(found.flat().sort()).toEqual(['d/a', 'd/e/b', 'top'])
})

test('does not check while a sync is running', async () => {
  const { area, at } = await stored()
  rmSync(at('top'))
  const sync = await area.beginSync()
  expect((await area.checkMirror(ALL)).removed).toEqual([])
  await sync.abandon()
  expect((await area.checkMirror(ALL)).removed).toEqual(['top'])
})

test('ignores the deleted files that an archive keeps', async () => {
  const { area, source, at } = await stored('archive')
  source.remove('gone')
  await push(area, source)
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: [] })
  expect(readFileSync(at('gone/c'), 'utf8')).toBe('four')
})

test('every name in the root is unavailable to a new client', async () => {
  const root = newFolder()
  mkdirSync(join(root, 'old copy'))
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), new SourceTree().write('a', 'x'))
  expect([...await archive.takenNames()].sort()).toEqual(['.filesync', 'laptop', 'old copy'])
  expect(archive.areas()).toEqual(['laptop'])
})
