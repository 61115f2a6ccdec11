import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ListingRequester, ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import type { StoredSoFar, Sync } from '../src/index.ts'
import { compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { sample } from './support/sample-tree.ts'

test('removes nothing if the client leaves before it has listed everything or answered all tasks', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  await push(area, source)
  const before = describeFolder(join(root, 'laptop'))
  source.remove('photos').write('nothing/in/here/new', 'n')
  // Only the listing of the root arrived, which does not have the photos any more.
  const cut = await area.beginSync()
  const tree = source.snapshot()
  const questions = new ListingRequester(tree.rootDigest, hashBytes)
  questions.nextRequest()
  const root0 = questions.accept({ number: 0, bytes: tree.listing(ROOT_PATH) ?? new Uint8Array(0) })
  for (const asked of cut.compare(root0)) expect(asked?.entry?.kind).toBe('directory')
  await cut.abandon()
  expect(describeFolder(join(root, 'laptop'))).toEqual(before)
  await push(area, source, { withhold: () => true, end: 'abandon' })
  expect(describeFolder(join(root, 'laptop')).filter(line => line.includes('photos/2024/a.jpg'))).toHaveLength(1)
  expect(await push(area, source)).toMatchObject({ deleted: 3 })
})

test('requests again what was not sent, was damaged or had another size', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  const first = await push(area, source, {
    withhold: path => path === 'photos/2024/a.jpg',
    falsify: (path, content) => path === 'run.sh' ? content.subarray(1) : path === 'large.bin' ? content.map(byte => byte ^ 1) : undefined,
  })
  expect(first.problems.map(({ path, code }) => `${code} ${path}`).sort()).toEqual([
    'CHANGED_DURING_READ run.sh', 'DIGEST_MISMATCH large.bin',
  ])
  expect(readdirSync(join(root, 'laptop/photos/2024'))).toEqual(['b.jpg'])
  const second = await push(area, source)
  expect(second.asked.sort()).toEqual(['large.bin', 'photos/2024/a.jpg', 'run.sh'])
  expect(second.problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('keeps the old content of a file whose new content does not arrive', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('d/a', 'old').write('d/b', 'old')
  await push(area, source)
  const before = describeFolder(join(root, 'laptop')).filter(line => !line.startsWith('d/ '))
  source.write('d/a', 'new').write('d/b', 'newer')
  await push(area, source, { withhold: () => true })
  expect(describeFolder(join(root, 'laptop')).filter(line => !line.startsWith('d/ '))).toEqual(before)
  // The client goes back to what is stored: that has to be noticed as well.
  const again = await push(area, source)
  expect(again.asked.sort()).toEqual(['d/a', 'd/b'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('commits what was staged when a sync is abandoned, and continues from there', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  await push(area, source, { withhold: path => path === 'readme.txt', end: 'abandon' })
  const second = await push(area, source)
  expect(second.asked).toEqual(['readme.txt'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('resumes a large file where it was interrupted', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  const area = await archive.area('laptop')
  const source = new SourceTree().write('large', new Uint8Array(900_000).map((_, i) => i * 13))
  const content = source.files().get('large') ?? new Uint8Array(0)
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  sync.plan({ complete: true })
  const staged = await sync.beginFile(0, 0)
  await staged.write(content.slice(0, 300_000))
  await sync.abandon()
  const second = await push(area, source)
  expect(second.tasks).toEqual([[0, 0, 'RESUME', 300_000]])
  expect(second.problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(readdirSync(join(root, '.filesync/partial/laptop'))).toEqual([])
})

test('does not resume a large file with another file of the same name, size and time', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('large', new Uint8Array(900_000).fill(1))
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  sync.plan({ complete: true })
  await (await sync.beginFile(0, 0)).write(new Uint8Array(300_000).fill(1))
  await sync.abandon()
  const listed = source.at('large')
  const exchanged = new SourceTree().write('large', new Uint8Array(900_000).fill(2))
  Object.assign(exchanged.at('large'), { mtimeNs: 'mtimeNs' in listed && listed.mtimeNs, fileId: 4711n })
  expect(await push(area, exchanged)).toMatchObject({ tasks: [[0, 0]], problems: [], files: 1 })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(exchanged))
  expect(readdirSync(join(root, '.filesync/partial/laptop'))).toEqual([])
})

test.each([
  ['together with files that were stored', 'whole', 1],
  ['also if no file was stored', 'part', 0],
] as const)('an abandoned sync reports moves once, %s', async (_, arrives, files) => {
  const area = await (await newArchive()).area('laptop')
  const source = sample()
  await push(area, source)
  source.move('large.bin', 'elsewhere.bin').write('new', 'new').write('never', 'comes')
  const told: StoredSoFar[] = []
  const options = { end: 'abandon', onSync: (sync: Sync) => { sync.onStored = stored => { told.push(stored) } } } as const
  // What is spoiled is an answer, and no file.
  const spoiled = (path: string): Uint8Array | undefined => (
    arrives === 'part' && path === 'new' ? new TextEncoder().encode('other') : undefined
  )
  await push(area, source, { ...options, withhold: path => path === 'never', falsify: spoiled })
  expect(told.at(-1)).toEqual({ files, bytes: 3 * files, renamed: 1, deleted: 0 })
  expect(told).toHaveLength(1)
  const again = await push(area, source)
  expect(again).toMatchObject({ files: 2 - files, renamed: 0 })
})

test('a sync that is abandoned before a digest arrives moves nothing, and the next one does', async () => {
  const area = await (await newArchive()).area('laptop')
  const source = sample()
  await push(area, source)
  source.move('large.bin', 'elsewhere.bin')
  const told: StoredSoFar[] = []
  await push(area, source, { end: 'abandon', withhold: () => true, onSync: sync => { sync.onStored = stored => { told.push(stored) } } })
  expect(told).toEqual([])
  expect(await push(area, source)).toMatchObject({ asked: [], digested: ['elsewhere.bin'], files: 0, renamed: 1, problems: [] })
  expect((await push(area, source)).listings).toBe(0)
})
