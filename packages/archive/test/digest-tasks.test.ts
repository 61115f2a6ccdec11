import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { joinPath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Area, SyncOutcome } from '../src/index.ts'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { asPath, compareAll, makePack, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

interface Synced extends SyncOutcome {
  /** What was asked for, each with how. */
  readonly asked: string[]
}

/** A session of a client that can be asked for digests, in the order of docs/protocol.md. */
async function sync (area: Area, source: SourceTree): Promise<Synced> {
  const sync = await area.beginSync()
  const { answers } = compareAll(sync, source.snapshot())
  const plan = sync.plan({ complete: true, digest: true })
  const files = source.files()
  const asked: string[] = []
  let number = 0
  for (const tasks of [() => plan.tasks, () => plan.retryTasks()]) {
    for (const [listing, index, how] of tasks()) {
      const { directory, entry } = answers.entry(listing, index)
      const path = joinPath(directory, entry.name)
      const content = files.get(path) ?? new Uint8Array(0)
      asked.push(`${path} ${how ?? 'WHOLE'}`)
      expect(plan.describe(number)).toMatchObject({ path, sizeBytes: content.length })
      if (how === 'DIGEST') await (await sync.beginFile(number, 0)).finish(hashBytes(content))
      else await sync.stagePack(makePack([{ task: number, content }]))
      number++
    }
  }
  return { ...await sync.finish(), asked }
}

/** An area whose files were put there by hand, with times of their own. */
async function byHand (
  files: Readonly<Record<string, string>>, settings: { readonly reserveBytes?: number } = {},
): Promise<{ root: string, area: Area }> {
  const root = newFolder()
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, 'laptop', path)
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, content)
    utimesSync(file, 1_600_000_000, 1_600_000_000)
  }
  return { root, area: await (await newArchive({ root, ...settings })).area('laptop') }
}

test('a copy with other times is recognized by its digest, and gets the times of the original', async () => {
  const { root, area } = await byHand({ 'd/a': 'one', 'd/b': 'two', top: 'three', none: '' })
  const source = new SourceTree().write('d/a', 'one').write('d/b', 'two').write('top', 'three').write('none', '').write('new', 'four')
  const first = await sync(area, source)
  expect(first).toMatchObject({ problems: [], files: 2, bytes: 4 })
  expect(first.asked.sort()).toEqual(['d/a DIGEST', 'd/b DIGEST', 'new WHOLE', 'none WHOLE', 'top DIGEST'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await area.checkSafe([{ path: asPath('d/a'), kind: 'file', digest: hashBytes(Buffer.from('one')) }]))[0]?.verdict).toBe('safe')
  expect((await push(area, source)).listings).toBe(0)
})

test('a file with another digest is requested in the same sync, and its old content stays as a version', async () => {
  const { root, area } = await byHand({ 'd/a': 'one', 'd/b': 'two', top: 'three' })
  const source = new SourceTree().write('d/a', 'eno').write('d/b', 'two').write('top', 'eerht')
  const first = await sync(area, source)
  expect(first).toMatchObject({ problems: [], files: 2, bytes: 8 })
  expect(first.asked).toEqual(expect.arrayContaining(['d/a DIGEST', 'd/a WHOLE', 'd/b DIGEST', 'top DIGEST', 'top WHOLE']))
  expect(first.asked).toHaveLength(5)
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(versionsIn(root, 'laptop').sort()).toEqual(['d/a', 'top'])
  expect((await push(area, source)).listings).toBe(0)
})

test('a file that was changed by hand since it was read is requested, even if its recorded digest matches', async () => {
  const { root, area } = await byHand({ a: 'one' })
  const changed = join(root, 'laptop', 'a')
  writeFileSync(changed, 'eno')
  utimesSync(changed, 1_600_000_100, 1_600_000_100)
  const source = new SourceTree().write('a', 'one')
  expect((await sync(area, source)).asked).toEqual(['a DIGEST', 'a WHOLE'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test('a client is asked for each digest once, and for whole files if it cannot send digests', async () => {
  const { area } = await byHand({ a: 'one', b: 'two' })
  const source = new SourceTree().write('a', 'one').write('b', 'two')
  await sync(area, source)
  source.write('a', 'eno')
  expect((await sync(area, source)).asked).toEqual(['a WHOLE'])
  const other = await byHand({ a: 'one' })
  expect((await push(other.area, source, { digest: false })).tasks).toEqual([[0, 0], [0, 1]])
})

test('content for a task that requested only the digest is refused', async () => {
  const { root, area } = await byHand({ a: 'one' })
  const sync = await area.beginSync()
  compareAll(sync, new SourceTree().write('a', 'one').snapshot())
  const plan = sync.plan({ complete: true, digest: true })
  expect([...plan.tasks]).toEqual([[0, 0, 'DIGEST']])
  const file = await sync.beginFile(0, 0)
  await expect(file.write(new Uint8Array(3))).rejects.toMatchObject({ code: 'DATA_UNEXPECTED' })
  await expect(sync.stagePack(makePack([{ task: 1, content: new Uint8Array(3) }]))).rejects.toThrow()
  await sync.abandon()
  expect(statSync(join(root, 'laptop', 'a')).mtimeMs).toBe(1_600_000_000_000)
})

test('a file with another digest that does not fit is a problem, and keeps its old content', async () => {
  // No byte is free beyond the reserve, and what only gets another time needs none.
  const { root, area } = await byHand({ 'd/a': 'one', 'd/b': 'two', top: 'three' }, { reserveBytes: 2 ** 50 })
  const source = new SourceTree().write('d/a', 'eno').write('d/b', 'two').write('top', 'eerht')
  const first = await sync(area, source)
  expect(first).toMatchObject({ problems: [{ path: 'd/a', code: 'NO_ROOM' }, { path: 'top', code: 'NO_ROOM' }], problemCount: 2 })
  expect(first.asked).toEqual(expect.arrayContaining(['d/a DIGEST', 'd/b DIGEST', 'top DIGEST']))
  expect(first.asked).toHaveLength(3)
  expect(readFileSync(join(root, 'laptop', 'd/a'), 'utf8')).toBe('one')
  expect(versionsIn(root, 'laptop')).toEqual([])
})
