import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { equalDigests } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { compareAll, makePack, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { sample } from './support/sample-tree.ts'

test('stores a tree unchanged and reports it', async () => {
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

test('keeps times before 1970, of files, links and directories', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('file', 'text').write('small', 'x').link('link', 'file').mkdir('directory')
  const times = [-5_250_000_000n, -1_000n, -2_208_988_800_000_000_000n, -86_400_000_000_000n]
  for (const [i, name] of ['file', 'small', 'link', 'directory'].entries()) source.at(name).mtimeNs = times[i] ?? 0n
  expect((await push(area, source)).problems).toEqual([])
  const kept = ['file', 'small', 'link', 'directory'].map(name => lstatSync(join(root, 'laptop', name), { bigint: true }).mtimeNs)
  for (const [i, timeNs] of kept.entries()) expect(Math.abs(Number(timeNs - (times[i] ?? 0n)))).toBeLessThan(1_000)
  expect(await area.checkMirror({ directories: 10 })).toEqual({ changed: [], removed: [], added: [] })
})

test('distinguishes names that differ only in a leading byte order mark', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const large = (first: number): Uint8Array => new Uint8Array(700_000).fill(first)
  const source = new SourceTree()
    .write('x', 'plain').write('\ufeffx', 'marked').write('new/x', 'plain').write('new/\ufeffx', 'marked')
    .write('large', large(1)).write('\ufefflarge', large(2))
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  source.write('\ufeffx', 'other').remove('x').remove('new/x')
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  const sync = await area.beginSync()
  expect(equalDigests(sync.rootDigest, source.snapshot().rootDigest)).toBe(true)
  compareAll(sync, source.snapshot())
  expect(sync.plan({ complete: true }).taskCount).toBe(0)
  await sync.abandon()
})

test('requests only what changed, and keeps versions of what it replaces and deletes', async () => {
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

test('recognizes moves, swaps and renamed directories, and requests nothing for them', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample().write('a', 'content of a').write('b', 'content of b').write('dir/one', '1').write('dir/two', '22')
  await push(area, source)
  source.move('a', 'was-a').move('b', 'a').move('was-a', 'b').move('dir', 'renamed').move('large.bin', 'photos/large.bin')
  const second = await push(area, source)
  expect(second.asked).toEqual([])
  expect(second).toMatchObject({ files: 0, renamed: 5, deleted: 0, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('follows a path through every kind of entry', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const shapes: ((source: SourceTree) => void)[] = [
    source => { source.write('x', 'a file') },
    source => { source.remove('x').write('x/inner/file', 'a directory') },
    source => { source.remove('x').link('x', 'elsewhere') },
    source => { source.remove('x').mkdir('x') },
    source => { source.remove('x').write('x', 'a file again') },
    source => { source.remove('x').link('x', 'y/z') },
    source => { source.remove('x').write('x', 'last') },
  ]
  const source = new SourceTree().write('other', 'stays')
  for (const shape of shapes) {
    shape(source)
    expect((await push(area, source)).problems).toEqual([])
    expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
    expect((await push(area, source)).listings).toBe(0)
  }
  expect(versionsIn(root, 'laptop')).toEqual(expect.arrayContaining(['x', 'x/inner/file']))
})

test('moves a file out of a directory that becomes a file', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('d/keep', 'precious').write('d/drop', 'less so')
  await push(area, source)
  source.move('d/keep', 'e').remove('d').write('d', 'now a file')
  expect(await push(area, source)).toMatchObject({ files: 1, renamed: 1, deleted: 1, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('removes nothing after an incomplete scan, but does so after the next complete one', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  await push(area, source)
  source.remove('photos').remove('run.sh').write('new', 'n')
  expect(await push(area, source, { complete: false })).toMatchObject({ files: 1, deleted: 0 })
  expect(readdirSync(join(root, 'laptop'))).toEqual(expect.arrayContaining(['photos', 'run.sh', 'new']))
  expect(await push(area, source)).toMatchObject({ files: 0, deleted: 4 })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('never removes anything from an archive that keeps deleted files', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root, deletions: 'archive' })).area('laptop')
  const source = sample()
  await push(area, source)
  source.remove('photos').write('readme.txt', 'changed')
  expect(await push(area, source)).toMatchObject({ files: 1, deleted: 0 })
  expect(readdirSync(join(root, 'laptop/photos/2024')).sort()).toEqual(['a.jpg', 'b.jpg'])
  expect(versionsIn(root, 'laptop')).toEqual(['readme.txt'])
  expect((await push(area, source)).listings).toBe(0)
  expect(await area.prune()).toBe(0)
})

test('builds a file from pieces of its present copy', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const old = new Uint8Array(2_500_000).map((_, i) => i * 31 >> 3)
  const source = new SourceTree().write('large', old)
  await push(area, source)
  const next = new Uint8Array([9, 9, ...old])
  source.write('large', next)
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  sync.plan({ complete: true })
  const staged = await sync.beginFile(0, 0)
  await staged.write(Uint8Array.of(9, 9))
  await staged.copy(0, old.length)
  expect(await staged.finish(hashBytes(next))).toEqual({ task: 0, bytes: next.length })
  await sync.finish()
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('refuses a file that was not requested, and one that arrives twice', async () => {
  const area = await (await newArchive()).area('laptop')
  const source = new SourceTree().write('a', 'x')
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  sync.plan({ complete: true })
  const content = new TextEncoder().encode('x')
  await expect(sync.stagePack(makePack([{ task: 1, content }]))).rejects.toMatchObject({ code: 'DATA_UNEXPECTED' })
  await sync.stagePack(makePack([{ task: 0, content }]))
  await expect(sync.stagePack(makePack([{ task: 0, content }]))).rejects.toMatchObject({ code: 'DATA_UNEXPECTED' })
  await expect(area.beginSync()).rejects.toMatchObject({ code: 'SERVER_BUSY' })
  await sync.abandon()
})

test('holds the brake if most of an area would vanish, until it is released', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree()
  for (let i = 0; i < 250; i++) source.write(`d${String(i % 5)}/f${String(i)}`, `content ${String(i)}`)
  await push(area, source)
  const before = describeFolder(join(root, 'laptop'))
  await expect(push(area, new SourceTree())).rejects.toMatchObject({ code: 'HALTED' })
  expect(describeFolder(join(root, 'laptop'))).toEqual(before)
  expect(area.halted).toMatchObject({ vanishing: 250, of: 250 })
  // The client's disk is mounted again.
  await push(area, source)
  expect(area.halted).toBeUndefined()
  // 60 % is too much as well, 40 % is not.
  source.remove('d0').remove('d1').remove('d2')
  await expect(push(area, source)).rejects.toMatchObject({ code: 'HALTED' })
  await area.release()
  expect(area.halted).toBeUndefined()
  expect(await push(area, source)).toMatchObject({ deleted: 150 })
  source.remove('d3')
  expect(await push(area, source)).toMatchObject({ deleted: 50 })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('keeps the release of the brake until a sync has finished with it', async () => {
  const area = await (await newArchive({ root: newFolder() })).area('laptop')
  const source = new SourceTree()
  for (let i = 0; i < 250; i++) source.write(`d${String(i % 5)}/f${String(i)}`, `content ${String(i)}`)
  await push(area, source)
  source.remove('d0').remove('d1').remove('d2')
  await expect(push(area, source)).rejects.toMatchObject({ code: 'HALTED' })
  await area.release()
  const cut = await area.beginSync()
  compareAll(cut, source.snapshot())
  cut.plan({ complete: true })
  await cut.abandon()
  expect(await push(area, source)).toMatchObject({ deleted: 150 })
})

test('loses only time if the index is lost', async () => {
  const root = newFolder()
  const source = sample()
  const first = await newArchive({ root })
  await push(await first.area('laptop'), source)
  await first.close()
  rmSync(join(root, '.filesync/index'), { recursive: true })
  const area = await (await newArchive({ root })).area('laptop')
  const second = await push(area, source)
  expect(second).toMatchObject({ asked: [], files: 0, deleted: 0, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('reports every batch that is durable', async () => {
  const area = await (await newArchive()).area('laptop')
  const told: number[] = []
  await push(area, sample(), { onSync: sync => { sync.onStored = ({ files }) => { told.push(files) } } })
  expect(told.at(-1)).toBe(7)
})

test('locks the archive against a second process', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await expect(newArchive({ root })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await archive.close()
  await (await newArchive({ root })).close()
})

test('refuses area names that are not a folder of the archive', async () => {
  const archive = await newArchive()
  for (const name of ['', '..', 'a/../b', '/etc', '.filesync', '.FileSync', 'a/b/c', 'x\0y']) {
    await expect(archive.area(name)).rejects.toMatchObject({ code: 'NAME_INVALID' })
  }
})
