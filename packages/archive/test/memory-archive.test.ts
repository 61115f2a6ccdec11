import { describe, expect, test } from 'vitest'
import { FileSyncError, ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { crashStates } from './support/crash-states.ts'
import { describeWanted, World } from './support/in-memory.ts'
import { asPath, compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const DAY_MS = 86_400_000

/** The states of a crash test without the large file, which takes long to compare. */
function states (): readonly [SourceTree, SourceTree] {
  const [before, after] = crashStates()
  // In packs of their own, so that there are more batches.
  for (let i = 0; i < 4; i++) after.write(`more/file${String(i)}`, `${String(i)}`.repeat(90))
  return [before.write('large', 'is small here'), after.write('large', 'and here, too')]
}

test('a mirror in memory becomes a copy of the source, and keeps versions', async () => {
  const world = new World()
  const area = await world.area()
  const [before, after] = states()
  expect((await push(area, before)).problems).toEqual([])
  world.clock.jump(1000)
  await push(area, after)
  expect(world.mirror).toEqual(describeWanted(after))
  expect((await push(area, after)).listings).toBe(0)
  expect((await area.versions(asPath('gone'))).map(({ path }) => path)).toEqual(['gone', 'gone/a', 'gone/deep', 'gone/deep/b'])
  expect((await area.verify()).problems).toEqual([])
  expect(await area.checkMirror({ directories: 100 })).toEqual({ changed: [], removed: [], added: [] })
})

test('a large file that was complete but not placed when the process ended is resumed from its end', async () => {
  const world = new World()
  const content = new Uint8Array(300_000).map((_, at) => at * 13 >> 4)
  const source = new SourceTree().write('large', content)
  const sync = await (await world.area()).beginSync()
  compareAll(sync, source.snapshot())
  sync.plan({ complete: true })
  const staged = await sync.beginFile(0, 0)
  await staged.write(content.slice())
  expect(await staged.finish(hashBytes(content))).toEqual({ task: 0, bytes: content.length })
  world.failure = { at: world.calls + 1, error: new Error('The process was killed.') }
  await expect(sync.abandon()).rejects.toThrow('The process was killed.')
  world.failure = undefined
  const second = await push(await world.area(), source)
  expect(second.tasks).toEqual([[0, 0, 'RESUME', content.length]])
  expect(second.problems).toEqual([])
  expect(world.mirror).toEqual(describeWanted(source))
})

/** What is wrong after a sync ended at some call and a new process made another one. */
async function faultsAfter (world: World, before: SourceTree, after: SourceTree): Promise<string[]> {
  const whole = new Set([...describeWanted(before), ...describeWanted(after)].filter(isFile).map(contentOf))
  const faults = world.mirror.filter(isFile).map(contentOf).filter(line => !whole.has(line)).map(line => `${line} is neither old nor new`)
  const area = await world.area()
  const { problems } = await push(area, after)
  faults.push(...problems.map(problem => `${problem.path}: ${problem.message}`))
  if (world.mirror.join('\n') !== describeWanted(after).join('\n')) faults.push('the mirror is not what the client has')
  if ((await push(area, after)).listings !== 0) faults.push('the index does not have the digest of the client')
  if ((await area.verify()).problems.length > 0) faults.push('verify finds damage')
  const kept = (await area.versions(ROOT_PATH)).map(({ path }) => path)
  for (const path of ['gone/a', 'gone/deep/b', 'kind', 'replaced', 'docs/file0', 'docs/file5']) {
    if (!kept.includes(asPath(path))) faults.push(`there is no version of ${path}`)
  }
  if (world.store.staging.size > 0) faults.push('something is left in staging')
  return faults
}

const isFile = (line: string): boolean => !line.includes(' -> ') && !/\/ \d+$/u.test(line)
const contentOf = (line: string): string => line.replace(/ \d+ /u, ' ')

test('a process that ends at any call of its ports is recovered by the next one', { timeout: 60_000 }, async () => {
  const [before, after] = states()
  let points = 0
  for (let at = 1; ; at++) {
    const world = new World()
    await push(await world.area(), before)
    world.clock.jump(1000)
    const first = world.calls + 1
    world.failure = { at: first + at, error: new Error('The process was killed.') }
    const killed = await push(await world.area(), after, { packBytes: 100 }).then(() => false, () => true)
    world.failure = undefined
    expect(await faultsAfter(world, before, after), `killed at call ${String(at)}`).toEqual([])
    if (!killed) break
    points++
  }
  expect(points).toBeGreaterThan(40)
})

describe.each(['ARCHIVE_FULL', 'ARCHIVE_UNAVAILABLE'] as const)('a disk that fails with %s', code => {
  test('ends the sync with that error at any call, and the archive is intact when it works again', { timeout: 60_000 }, async () => {
    const [before, after] = states()
    for (let at = 2; ; at += 3) {
      const world = new World()
      await push(await world.area(), before)
      world.clock.jump(1000)
      world.failure = { at: world.calls + at, error: new FileSyncError(code, 'The disk answers so.') }
      const area = await world.area()
      const outcome = await push(area, after, { packBytes: 100 }).then(() => 'done', (error: unknown) => error)
      world.failure = undefined
      if (outcome !== 'done') expect(outcome).toMatchObject({ code })
      // The same process goes on: it has to have let go of the area.
      await (await area.beginSync()).abandon()
      expect(await faultsAfter(world, before, after), `at call ${String(at)}`).toEqual([])
      if (outcome === 'done') break
    }
  })
})

test('a process that ends while it drops versions is recovered by the next one', async () => {
  const [before, after] = states()
  for (let at = 1; ; at++) {
    const world = new World()
    const area = await world.area(DAY_MS)
    await push(area, before)
    world.clock.jump(1000)
    await push(area, after)
    world.clock.advance(2 * DAY_MS)
    world.failure = { at: world.calls + at, error: new Error('The process was killed.') }
    const killed = await area.prune().then(() => false, () => true)
    world.failure = undefined
    expect(world.mirror).toEqual(describeWanted(after))
    const next = await world.area(DAY_MS)
    await next.prune()
    // A process that has just begun does not trust the clock: what it finds old has to go on being old.
    world.clock.advance(2 * DAY_MS)
    await next.prune()
    expect(await next.versions(ROOT_PATH)).toEqual([])
    if (!killed) break
  }
})

test('if the store folds names, the second spelling of a name is a problem and the first is stored', async () => {
  const world = new World({ foldsNames: true, windowsNames: false })
  const area = await world.area()
  const source = new SourceTree()
    .write('Report', 'one').write('report', 'two').write('caf\u00e9', 'three').write('cafe\u0301', 'four').write('d/a', 'x')
    .write('D/a', 'y')
  const { problems } = await push(area, source)
  expect(problems.map(({ path, code }) => `${path.normalize('NFC')} ${code}`).sort()).toEqual([
    'caf\u00e9 NAME_COLLIDES', 'd NAME_COLLIDES', 'report NAME_COLLIDES',
  ])
  expect(world.mirror.filter(isFile).map(line => line.split(' ')[0])).toEqual(expect.arrayContaining(['D/a', 'Report']))
  expect(await area.checkMirror({ directories: 100 })).toEqual({ changed: [], removed: [], added: [] })
  // Another spelling of the same name takes the place of the old one, which stays as a version.
  const renamed = new SourceTree().write('REPORT', 'three')
  await push(area, renamed)
  expect(world.mirror.filter(isFile).map(line => line.split(' ')[0])).toEqual(['REPORT'])
  expect((await area.versions(asPath('Report'))).length).toBe(1)
})

test('a directory that was indexed before a crash has its time and mode after the recovery', async () => {
  const before = new SourceTree().write('old/file', 'x')
  const after = new SourceTree().write('old/file', 'x').write('new/file', 'y')
  for (let at = 1, killed = true; killed; at++) {
    const world = new World()
    await push(await world.area(), before)
    world.failure = { at: world.calls + at, error: new Error('The process was killed.') }
    killed = await push(await world.area(), after).then(() => false, () => true)
    world.failure = undefined
    await push(await world.area(), after)
    expect(world.mirror, `killed at call ${String(at)}`).toEqual(describeWanted(after))
  }
})

test('if the store has the names of Windows, those that it refuses are problems and others are stored', async () => {
  const world = new World({ foldsNames: true, windowsNames: true })
  const source = new SourceTree()
    .write('CON', 'x').write('a:b', 'x').write('ends.', 'x').write('aux.txt', 'x').write('fine', 'x').write('nul/inside', 'x')
  const { problems } = await push(await world.area(), source)
  expect(problems.map(({ path }) => path).sort()).toEqual(['CON', 'a:b', 'aux.txt', 'ends.', 'nul'])
  expect(world.mirror.filter(isFile).map(line => line.split(' ')[0])).toEqual(['fine'])
})
