import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import type { Archive } from '../src/index.ts'
import { openLmdbIndex } from '../src/node/lmdb-index.ts'
import { memoryArchive } from '../src/testing/index.ts'
import { crashStates } from './support/crash-states.ts'
import { describeMemory, describeWanted, World } from './support/in-memory.ts'
import { describeFolder, describeSource, newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { asPath, compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const open = ({ clock, index, store }: World): Archive => memoryArchive({ hash: hashBytes, clock, index, store, keepMs: 30 * 86_400_000 })

/** Two states of a small source. */
function states (): readonly [SourceTree, SourceTree] {
  const [before, after] = crashStates()
  return [before.write('large', 'is small here'), after.write('large', 'and here, too')]
}

/** An area with versions, and with a partial file. */
async function filled (world: World): Promise<SourceTree> {
  const [before, after] = states()
  const area = await world.area()
  await push(area, before)
  world.clock.jump(1000)
  await push(area, after)
  const more = new SourceTree()
  for (const [path, content] of after.files()) more.write(path, content)
  const sync = await area.beginSync()
  const content = new Uint8Array(300_000).fill(7)
  compareAll(sync, more.write('partial', content).snapshot())
  const [task] = [...sync.plan({ complete: false }).tasks].flatMap(([, ,], at) => at)
  const file = await sync.beginFile(task ?? 0, 0)
  await file.write(content.slice(0, 200_000))
  await file.abandon()
  await sync.abandon()
  return after
}

test('an area is renamed wholly, whenever the process ends, and nothing is left under the old name', async () => {
  let kills = 0
  for (let at = 1; ; at++) {
    const world = new World()
    const after = await filled(world)
    const versions = await (await world.area()).versions(ROOT_PATH)
    world.failure = { at: world.calls + at, error: new Error('The process was killed.') }
    const isDone = await open(world).renameArea('laptop', 'studio').then(() => true, () => false)
    world.failure = undefined
    const archive = open(world)
    await archive.renameArea('laptop', 'studio')
    const area = await archive.area('studio')
    expect(archive.areas()).toEqual(['studio'])
    expect(world.store.root.entries().map(({ name }) => name)).toEqual(['studio'])
    expect(describeMemory(world.store.root.below('studio'))).toEqual(describeWanted(after))
    expect(await area.versions(ROOT_PATH)).toEqual(versions)
    expect([...world.store.partial.keys()]).toEqual(['studio'])
    expect((await push(area, after)).listings).toBe(0)
    expect((await area.verify()).problems).toEqual([])
    expect(await area.checkMirror({ directories: 100 })).toEqual({ changed: [], removed: [], added: [] })
    if (isDone) break
    kills++
  }
  expect(kills).toBeGreaterThan(5)
})

test('an area on the disk is renamed with its versions and its history', async () => {
  const root = newFolder()
  const [before, after] = states()
  const clock = new WallClock(Date.now())
  const archive = await newArchive({ root, clock })
  const area = await archive.area('laptop')
  await push(area, before)
  clock.advance(1000)
  await push(area, after)
  const versions = await area.versions(ROOT_PATH)
  await archive.renameArea('laptop', 'Laptop')
  await archive.renameArea('Laptop', 'studio')
  await archive.renameArea('laptop', 'studio')
  const renamed = await archive.area('studio')
  expect(await renamed.versions(ROOT_PATH)).toEqual(versions)
  expect(describeFolder(join(root, 'studio'))).toEqual(describeSource(after))
  expect((await push(renamed, after)).listings).toBe(0)
  for (const home of ['', '.filesync/versions', '.filesync/history']) expect(readdirSync(join(root, home))).not.toContain('laptop')
  await expect(area.beginSync()).rejects.toMatchObject({ code: 'SERVER_BUSY' })
  await expect(area.prune()).rejects.toMatchObject({ code: 'SERVER_BUSY' })
  expect(archive.areas()).toEqual(['studio'])
})

test('a renaming that a power cut interrupted is completed when the archive is opened', async () => {
  const root = newFolder()
  const [before, after] = states()
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), before)
  await push(await archive.area('laptop'), after)
  await archive.close()
  const index = openLmdbIndex(join(root, '.filesync/index'))
  const record = index.area('laptop') ?? { open: false, lastStampMs: 0 }
  await index.write([{ area: 'laptop', record: { ...record, renamingTo: asPath('studio') } }])
  await index.close()
  renameSync(join(root, 'laptop'), join(root, 'studio'))
  renameSync(join(root, '.filesync/versions/laptop'), join(root, '.filesync/versions/studio'))
  const again = await newArchive({ root })
  expect(again.areas()).toEqual(['studio'])
  expect(readdirSync(join(root, '.filesync/history'))).toEqual(['studio'])
  expect((await push(await again.area('studio'), after)).listings).toBe(0)
  expect((await (await again.area('studio')).versions(ROOT_PATH)).length).toBeGreaterThan(0)
})

test.each([
  ['a folder', 'studio/x'], ['versions', '.filesync/versions/studio/x'], ['history', '.filesync/history/studio/x'],
])('an area is not renamed over %s that is there', async (_, place) => {
  const root = newFolder()
  const [before] = states()
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), before)
  mkdirSync(join(root, place, '..'), { recursive: true })
  writeFileSync(join(root, place), 'mine')
  await expect(archive.renameArea('laptop', 'studio')).rejects.toMatchObject({ code: 'USAGE' })
  expect(archive.areas()).toEqual(['laptop'])
  expect(existsSync(join(root, place))).toBe(true)
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(before))
  expect((await push(await archive.area('laptop'), before)).listings).toBe(0)
})

test('an area waits to be renamed until its sync is over, and one that is another area\'s name is refused', async () => {
  const world = new World()
  const [before] = states()
  const archive = open(world)
  const area = await archive.area('laptop')
  await push(area, before)
  await push(await archive.area('camera'), before)
  await expect(archive.renameArea('laptop', 'camera')).rejects.toMatchObject({ code: 'USAGE' })
  await expect(archive.renameArea('laptop', 'a/b/c')).rejects.toMatchObject({ code: 'NAME_INVALID' })
  const sync = await area.beginSync()
  const renaming = archive.renameArea('laptop', 'studio')
  await new Promise(resolve => { setImmediate(resolve) })
  expect(archive.areas()).toContain('laptop')
  await sync.finish()
  await renaming
  expect([...archive.areas()].sort()).toEqual(['camera', 'studio'])
})
