import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Area } from '../src/index.ts'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

async function openArea (): Promise<{ root: string, area: Area }> {
  const root = newFolder()
  return { root, area: await (await newArchive({ root })).area('laptop') }
}

/** Gives a file other content of the same size under the file id and the time that it had, as a client with weak file ids may list it. */
function exchange (source: SourceTree, path: string, content: string): void {
  const file = source.at(path)
  if (file.kind !== 'file' || file.content.length !== content.length) throw new Error(`${path} is no file of that size`)
  file.content = new TextEncoder().encode(content)
}

test('a file with the file id, size and time of a removed file is stored with its own content', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('old/a', 'AAAA').write('old/b', 'BBBB').write('stays', 'stays')
  await push(area, source)
  source.move('old', 'new')
  exchange(source, 'new/a', 'CCCC')
  const second = await push(area, source)
  expect(second).toMatchObject({ digested: ['new/a', 'new/b'], asked: ['new/a'], files: 1, renamed: 1, deleted: 1, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop').sort()).toEqual(['old/a', 'old/b'])
  expect((await push(area, source)).listings).toBe(0)
})

test('two files with the file id of a removed file are each stored with their own content', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('one', 'AAAA')
  await push(area, source)
  source.move('one', 'first').write('second', 'BBBB')
  Object.assign(source.at('second'), { ...source.at('first'), content: new TextEncoder().encode('BBBB') })
  expect(await push(area, source)).toMatchObject({ digested: ['first', 'second'], asked: ['second'], files: 1, renamed: 1, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('two hard links of one file are both moved to their new names', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('one', 'AAAA').write('two', 'AAAA')
  Object.assign(source.at('two'), source.at('one'))
  await push(area, source)
  source.move('one', 'd/one').move('two', 'd/two')
  expect(await push(area, source)).toMatchObject({ asked: [], files: 0, renamed: 2, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('a moved file that cannot be read stays in its old place until it can be, and is not sent again', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('old/a', 'AAAA').write('old/b', 'BBBB').write('log', 'LLLL')
  await push(area, source)
  source.move('old', 'new').move('log', 'log.1')
  const cannotBeRead = (path: string): boolean => path === 'new/a' || path === 'log.1'
  expect(await push(area, source, { withhold: cannotBeRead })).toMatchObject({ asked: [], renamed: 1 })
  expect(['old/a', 'log'].map(path => readFileSync(join(root, 'laptop', path), 'utf8'))).toEqual(['AAAA', 'LLLL'])
  expect(versionsIn(root, 'laptop')).toEqual([])
  expect(await push(area, source)).toMatchObject({ asked: [], files: 0, renamed: 2, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('renamed files with other content trip the brake before any of them is removed', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree()
  for (let i = 0; i < 250; i++) source.write(`d/f${String(i)}`, `content ${String(i).padStart(3, '0')}`)
  await push(area, source)
  source.move('d', 'locked')
  const moved = await push(area, source)
  expect(moved).toMatchObject({ asked: [], renamed: 250, problems: [] })
  source.move('locked', 'encrypted')
  for (let i = 0; i < 250; i++) exchange(source, `encrypted/f${String(i)}`, `CONTENT ${String(i).padStart(3, '0')}`)
  await expect(push(area, source)).rejects.toMatchObject({ code: 'HALTED' })
  expect(area.halted).toMatchObject({ vanishing: 250, of: 250 })
  expect(describeFolder(join(root, 'laptop')).filter(line => line.startsWith('locked/f'))).toHaveLength(250)
  await area.release()
  expect(await push(area, source)).toMatchObject({ files: 250, deleted: 250, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

/** Gives all files other file ids, as on another disk; none if `keeps` is false. */
function renumber (source: SourceTree, directory: string, keeps = true): void {
  for (const path of source.files().keys()) {
    const file = path.startsWith(`${directory}/`) ? source.at(path) : undefined
    if (file?.kind === 'file') file.fileId = keeps ? file.fileId + 1_000_000n : 0n
  }
}

/** Gives files the size and time of each other. */
function alike (source: SourceTree, paths: readonly string[]): void {
  const [first] = paths.map(path => source.at(path))
  for (const path of paths) source.at(path).mtimeNs = first?.mtimeNs ?? 0n
}

test.each([[true], [false]])('files that moved to another disk are recognized by size and time, with file ids: %s', async keeps => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('photos/a', 'AAAA').write('photos/d/b', 'BBBBB').write('stays', 'stays')
  await push(area, source)
  source.move('photos', 'usb')
  renumber(source, 'usb', keeps)
  expect(await push(area, source)).toMatchObject({ asked: [], files: 0, renamed: 2, deleted: 0, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('of files of one size and time that left, each new one gets the content that it has', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('old/a', 'AAAA').write('old/b', 'BBBB').write('old/c', 'CCCC').write('old/d', 'DDDD')
  alike(source, ['old/a', 'old/b', 'old/c', 'old/d'])
  await push(area, source)
  for (const [from, to] of [['a', 'd'], ['b', 'x'], ['c', 'a'], ['d', 'y']] as const) source.move(`old/${from}`, `new/${to}`)
  source.remove('old')
  renumber(source, 'new')
  expect(await push(area, source)).toMatchObject({ asked: [], files: 0, renamed: 4, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('a new file with the size and time of one that left is stored with its own content', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree().write('old/a', 'AAAA').write('stays', 'stays')
  await push(area, source)
  source.move('old/a', 'new/a').remove('old')
  exchange(source, 'new/a', 'BBBB')
  renumber(source, 'new')
  expect(await push(area, source)).toMatchObject({ digested: ['new/a'], asked: ['new/a'], files: 1, renamed: 0, deleted: 1, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop')).toEqual(['old/a'])
})

test('a client that lists very many files of one size and time is asked for no more digests than files left', async () => {
  const { area } = await openArea()
  const source = new SourceTree()
  for (let i = 0; i < 500; i++) source.write(`old/f${String(i)}`, String(i).padStart(4, '0'))
  alike(source, [...source.files().keys()])
  await push(area, source)
  await area.release()
  source.remove('old')
  for (let i = 0; i < 1200; i++) source.write(`new/g${String(i)}`, String(i).padStart(4, '0'))
  const time = source.at('new/g0').mtimeNs
  for (const path of source.files().keys()) source.at(path).mtimeNs = time
  const same = new SourceTree().write('old/f0', '0000').at('old/f0').mtimeNs
  for (const path of source.files().keys()) source.at(path).mtimeNs = same
  const { digested, files, renamed, problems } = await push(area, source)
  expect(digested.length).toBeLessThanOrEqual(500)
  expect([files + renamed === 1200, problems]).toEqual([true, []])
})

test('renamed files with other content, of the same size and time but other file ids, trip the brake', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree()
  for (let i = 0; i < 250; i++) source.write(`d/f${String(i)}`, `content ${String(i).padStart(3, '0')}`)
  await push(area, source)
  const before = describeFolder(join(root, 'laptop')).filter(line => line.startsWith('d/f'))
  source.move('d', 'encrypted')
  renumber(source, 'encrypted')
  for (let i = 0; i < 250; i++) exchange(source, `encrypted/f${String(i)}`, `CONTENT ${String(i).padStart(3, '0')}`)
  await expect(push(area, source)).rejects.toMatchObject({ code: 'HALTED' })
  expect(describeFolder(join(root, 'laptop')).filter(line => line.startsWith('d/f'))).toEqual(before)
})

test('files that moved to another disk in a sync that ended early do not trip the brake in the next one', async () => {
  const { root, area } = await openArea()
  const source = new SourceTree()
  for (let i = 0; i < 250; i++) source.write(`d/f${String(i)}`, `content ${String(i)}`)
  await push(area, source)
  source.move('d', 'usb')
  renumber(source, 'usb')
  await push(area, source, { end: 'abandon' })
  expect(await push(area, source)).toMatchObject({ asked: [], deleted: 0, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})
