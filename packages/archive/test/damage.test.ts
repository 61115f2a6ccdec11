import { appendFileSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Area, RestoreOutcome } from '../src/index.ts'
import { World } from './support/in-memory.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { flipBit, storeArea } from './support/stored-area.ts'
import type { StoredArea } from './support/stored-area.ts'

const ALL = { directories: 1000 }
const STEP_MS = 60_000

async function stored (): Promise<StoredArea> {
  const source = new SourceTree().write('top', 'one').write('d/a', 'two').write('d/deep/b', 'three').mkdir('d/none').link('d/l', 'a')
  const store = await storeArea(source)
  store.clock.jump(STEP_MS)
  return store
}

async function restored (area: Area, atMs: number): Promise<RestoreOutcome & { readonly lines: string[] }> {
  const to = newFolder()
  const outcome = await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to })
  return { ...outcome, lines: describeFolder(to) }
}

function namesOf (lines: readonly string[]): string[] {
  return lines.map(line => line.split(' ')[0] ?? '')
}

const touches: readonly [who: string, notice: (area: Area) => Promise<unknown>][] = [
  ['the check after a session', async area => await area.checkMirror(ALL)],
  ['a safe check', async area => await area.checkSafe([{ path: asPath('d/a'), kind: 'file', digest: hashBytes(Buffer.from('two')) }])],
]

test.each(touches)('a file with only another time is restored as it was stored if %s noticed, and verify clears it', async (_, notice) => {
  const { area, source, clock, at } = await stored()
  utimesSync(at('d/a'), 1_700_000_061, 1_700_000_061)
  await notice(area)
  expect(area.damage()).toMatchObject({ count: 1, first: [{ path: 'd/a', what: 'altered' }] })
  expect(await restored(area, clock.nowMs())).toMatchObject({ failures: [], lines: describeSource(source) })
  expect((await area.verify()).problems).toEqual([])
  expect(area.damage().count).toBe(0)
  expect((await area.checkSafe([{ path: asPath('d/a'), kind: 'file', digest: hashBytes(Buffer.from('two')) }]))[0]?.verdict).toBe('safe')
  expect((await push(area, source)).listings).toBe(0)
})

test('every verify and every process reports damage until it is repaired, and a restore names it and saves its remains', async () => {
  const { root, archive, area, source, clock, at } = await stored()
  flipBit(at('d/a'))
  expect((await area.verify()).problems).toMatchObject([{
    path: 'd/a',
    message: expect.stringContaining('no longer matches its digest') as unknown,
  }])
  expect((await area.verify()).problems).toMatchObject([{
    path: 'd/a',
    message: expect.stringContaining('as found earlier and not repaired yet') as unknown,
  }])
  await archive.close()
  const again = await (await newArchive({ root, clock })).area('laptop')
  expect((await again.verify()).problems).toMatchObject([{ path: 'd/a' }])
  expect(again.damage()).toMatchObject({ count: 1, first: [{ path: 'd/a', what: 'damaged' }] })

  const atMs = clock.nowMs()
  const while_ = await restored(again, atMs)
  expect(while_.failures).toMatchObject([{ path: 'd/a', message: expect.stringContaining('"a.damaged" next to it') as unknown }])
  expect(namesOf(while_.lines)).toEqual(['d/', 'd/a.damaged', 'd/deep/', 'd/deep/b', 'd/l', 'd/none/', 'top'])

  clock.jump(STEP_MS)
  expect((await push(again, source)).asked).toEqual(['d/a'])
  expect(again.damage().count).toBe(0)
  expect((await again.verify()).problems).toEqual([])
  // The damaged copy is a version now, and the one that was sent again has its content.
  expect(await restored(again, atMs)).toMatchObject({ failures: [], lines: describeSource(source) })
  expect(await restored(again, clock.nowMs())).toMatchObject({ failures: [], lines: describeSource(source) })
})

test('a restore detects damage that was not noticed before, and the next sync sends the file', async () => {
  const { area, source, clock, at } = await stored()
  flipBit(at('top'))
  rmSync(at('d/deep/b'))
  const { failures, lines } = await restored(area, clock.nowMs())
  expect(failures.map(({ path }) => path).sort()).toEqual(['d/deep/b', 'top'])
  expect(namesOf(lines)).toContain('top.damaged')
  expect(area.damage()).toMatchObject({ first: [{ path: 'd/deep/b', what: 'missing' }, { path: 'top', what: 'damaged' }] })
  expect((await push(area, source)).asked.sort()).toEqual(['d/deep/b', 'top'])
  expect((await restored(area, clock.nowMs())).failures).toEqual([])
})

test('a damaged file is restored from another copy of its content: under another path, or an earlier version', async () => {
  const { area, source, clock, at } = await stored()
  source.write('copy', 'two').write('was/c', 'three')
  await push(area, source)
  clock.jump(STEP_MS)
  source.remove('was')
  await push(area, source)
  clock.jump(STEP_MS)
  flipBit(at('d/a'))
  appendFileSync(at('d/deep/b'), ' and more')
  await area.verify()
  expect(await restored(area, clock.nowMs())).toMatchObject({ failures: [], lines: describeSource(source) })
})

test('a restore names files that were removed by hand, and restores their directories and links', async () => {
  const { area, source, clock, at } = await stored()
  source.write('same', 'two')
  await push(area, source)
  clock.jump(STEP_MS)
  rmSync(at('d'), { recursive: true })
  expect((await area.checkMirror(ALL)).removed).toEqual(['d'])
  expect(area.damage().count).toBe(6)
  const { failures, lines } = await restored(area, clock.nowMs())
  expect(failures).toEqual([{
    path: 'd/deep/b',
    message: 'it is missing from the archive or cannot be read there, and there is no other copy of it',
  }])
  expect(namesOf(lines)).toEqual(namesOf(describeSource(source)).filter(name => name !== 'd/deep/b'))
  // Looking again finds no more, also after others put something there.
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: [] })
  mkdirSync(at('d'))
  symlinkSync('x', at('d/a'))
  expect((await area.checkMirror(ALL)).changed).toEqual([])
  expect((await push(area, source)).asked.sort()).toEqual(['d/a', 'd/deep/b'])
  expect(area.damage().count).toBe(0)
  expect((await restored(area, clock.nowMs())).lines).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})

test('verify accepts what was repaired by hand, whatever was done to it', async () => {
  const { root, area, source, at } = await stored()
  const before = describeFolder(join(root, 'laptop'))
  writeFileSync(at('d/a'), 'TWO')
  rmSync(at('d/l'))
  rmSync(at('d/none'), { recursive: true })
  expect(await area.checkMirror(ALL)).toEqual({ changed: ['d/a'], removed: ['d/l', 'd/none'], added: [] })
  expect((await area.verify()).problems.map(({ path }) => path)).toEqual(['d/a', 'd/l', 'd/none'])
  writeFileSync(at('d/a'), 'two')
  symlinkSync('a', at('d/l'))
  mkdirSync(at('d/none'))
  expect((await area.verify()).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(before)
  expect((await push(area, source)).listings).toBe(0)
})

test('a damaged file that the client removed is no longer reported, but named by a restore of an earlier time', async () => {
  const { area, source, clock, at } = await stored()
  flipBit(at('d/a'))
  await area.verify()
  const atMs = clock.nowMs()
  clock.jump(STEP_MS)
  source.remove('d/a')
  await push(area, source)
  expect(area.damage().count).toBe(0)
  expect((await area.verify()).problems).toEqual([])
  expect((await restored(area, atMs)).failures).toMatchObject([{ path: 'd/a', message: expect.stringContaining('a.damaged') as unknown }])
  expect(await restored(area, clock.nowMs())).toMatchObject({ failures: [], lines: describeSource(source) })
})

// What moves is asked for in the same sync where its copy was altered.
const syncs: readonly [what: string, change: (source: SourceTree) => void, problems: number][] = [
  ['gave it another mode', source => { (source.at('d/a') as { mode: number }).mode = 0o600 }, 1],
  ['moved it', source => { source.move('d/a', 'moved') }, 0],
]

test.each(syncs)('a file that others changed is restored as it was stored, if only a sync noticed that %s', async (_, change, problems) => {
  const { area, source, clock, at } = await stored()
  const before = describeSource(source)
  writeFileSync(at('d/a'), 'two, and more of it')
  const atMs = clock.nowMs()
  clock.jump(STEP_MS)
  change(source)
  expect((await push(area, source)).problems).toHaveLength(problems)
  clock.jump(STEP_MS)
  await push(area, source)
  expect(area.damage().count).toBe(0)
  expect(await restored(area, atMs)).toMatchObject({ failures: [], lines: before })
  expect(await restored(area, clock.nowMs())).toMatchObject({ failures: [], lines: describeSource(source) })
})

test('a rebuilt index does not accept damaged content as what was stored', async () => {
  const { area, source, at } = await stored()
  flipBit(at('d/a'))
  await area.verify()
  await area.rebuild()
  expect(area.damage().count).toBe(1)
  expect((await push(area, source)).asked).toEqual(['d/a'])
  expect((await area.verify()).problems).toEqual([])
})

test('a restore returns the requested state even if a sync replaces a file meanwhile', async () => {
  const world = new World()
  const area = await world.area()
  const source = new SourceTree().write('a', 'first').write('b', 'stays')
  await push(area, source)
  world.clock.jump(STEP_MS)
  const atMs = world.clock.nowMs()
  world.clock.jump(STEP_MS)
  source.write('a', 'second')
  const restore = world.store.restore.bind(world.store)
  let calls = 0
  world.store.restore = async (...request) => {
    // What stood where is known by now, and nothing is read yet.
    if (calls++ === 0) await push(area, source)
    return await restore(...request)
  }
  expect(await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to: '/out' })).toMatchObject({ files: 2, failures: [] })
  const file = world.store.restored.get('/out')?.at('a')
  expect(file?.kind === 'file' && Buffer.from(file.content).toString()).toBe('first')
  expect(area.damage().count).toBe(0)
})
