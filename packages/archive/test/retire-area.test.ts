import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import type { Archive } from '../src/index.ts'
import { memoryArchive } from '../src/testing/index.ts'
import { World } from './support/in-memory.ts'
import { newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const DAY_MS = 86_400_000

function many (): SourceTree {
  const tree = new SourceTree()
  for (let n = 0; n < 300; n++) tree.write(`d${String(n % 7)}/f${String(n)}`, String(n))
  return tree
}

const open = ({ clock, index, store }: World, deletions: 'mirror' | 'archive' = 'mirror'): Archive => (
  memoryArchive({ hash: hashBytes, clock, index, store, keepMs: 30 * DAY_MS, deletions })
)

test.each(['mirror', 'archive'] as const)('all files move to versions and expire there, if the archive is a %s', async deletions => {
  const root = newFolder()
  const clock = new WallClock(Date.now() - 100 * DAY_MS)
  const archive = await newArchive({ root, clock, deletions })
  const area = await archive.area('laptop')
  await push(area, many())
  expect(await archive.retireArea('laptop')).toBe(300)
  expect(await archive.retireArea('laptop')).toBe(0)
  expect(readdirSync(join(root, 'laptop'))).toEqual([])
  expect((await area.versions(ROOT_PATH)).filter(({ kind }) => kind === 'file')).toHaveLength(300)
  expect(await archive.dropArea('laptop')).toBe(false)
  expect(archive.areas()).toEqual(['laptop'])
  // The archive ages only while it runs: a jump of the clock counts after six hours.
  for (let hour = 0; hour < 24 * 32; hour++) {
    clock.advance(3_600_000)
    if (hour % 12 === 0) await area.prune()
  }
  await area.prune()
  expect(await archive.dropArea('laptop')).toBe(true)
  expect(archive.areas()).toEqual([])
  expect(readdirSync(root)).toEqual(['.filesync'])
  for (const home of ['versions', 'history', 'partial']) expect(readdirSync(join(root, '.filesync', home))).toEqual([])
})

test('an area that gets files again is not dropped, and an archive that keeps deleted files keeps its versions again', async () => {
  const world = new World()
  const archive = open(world, 'archive')
  const area = await archive.area('laptop')
  await push(area, many())
  await archive.retireArea('laptop')
  await push(area, new SourceTree().write('new', 'one'))
  expect(world.index.area('laptop')?.retired).toBeUndefined()
  expect(await archive.dropArea('laptop')).toBe(false)
  expect(world.mirror).toHaveLength(1)
})

test('whenever the process ends, no file is lost, and doing it again completes it', async () => {
  let kills = 0
  for (let at = 1; ; at += 3) {
    const world = new World()
    const source = many()
    await push(await world.area(), source)
    world.failure = { at: world.calls + at, error: new Error('The process was killed.') }
    const isDone = await open(world).retireArea('laptop').then(() => true, () => false)
    world.failure = undefined
    const archive = open(world)
    await archive.retireArea('laptop')
    const kept = (await (await archive.area('laptop')).versions(ROOT_PATH)).filter(({ kind }) => kind === 'file')
    expect(new Set(kept.map(({ path }) => path)).size).toBe(300)
    expect(world.mirror).toEqual([])
    if (isDone) break
    kills++
  }
  expect(kills).toBeGreaterThan(3)
})

test('whenever the process ends while an area is dropped, doing it again completes it', async () => {
  for (let at = 1, isDone = false; !isDone; at++) {
    const world = new World()
    await push(await world.area(), new SourceTree())
    world.failure = { at: world.calls + at, error: new Error('The process was killed.') }
    isDone = await open(world).dropArea('laptop').catch(() => false)
    world.failure = undefined
    expect(await open(world).dropArea('laptop')).toBe(true)
    expect(world.store.root.entries()).toEqual([])
    expect(world.index.areas()).toEqual([])
  }
})
