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
