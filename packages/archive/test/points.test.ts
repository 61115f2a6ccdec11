import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { encodeListing, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Area, PastTree } from '../src/index.ts'
import { describeTree } from './support/describe-tree.ts'
import { describeFolder, describeSource, newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { flipBit, storeArea } from './support/stored-area.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

async function ids (area: Area): Promise<string[]> {
  return (await area.points()).points.map(({ id }) => id)
}

async function restoredAt (area: Area, point: string): Promise<string[]> {
  const to = newFolder()
  expect((await area.restore({ path: ROOT_PATH, at: { point }, to })).failures).toEqual([])
  return describeFolder(to)
}

async function opened (area: Area, path = '', point?: string): Promise<PastTree> {
  const tree = await area.openPast({ path: asPath(path), at: point === undefined ? { ms: Infinity } : { point } })
  if (tree === undefined) throw new Error('There was nothing.')
  return tree
}

/** All files and links of a tree with their contents, as a client that walks its listings sees them. */
async function contents (tree: PastTree): Promise<string[]> {
  const lines: string[] = []
  const visit = async (directory: RelativePath): Promise<void> => {
    const listing = tree.listing(directory)
    if (listing === undefined) throw new Error(`There is no listing of ${directory}.`)
    // Canonical, so encoding it again gives the same bytes.
    expect(encodeListing([...readListing(listing)])).toEqual(listing)
    for (const entry of readListing(listing)) {
      const path = asPath(directory === ROOT_PATH ? entry.name : `${directory}/${entry.name}`)
      if (entry.kind === 'directory') {
        lines.push(`${path}/ ${entry.mode.toString(8)}`)
        await visit(path)
      } else if (entry.kind === 'symlink') lines.push(`${path} -> ${entry.target}`)
      else lines.push(`${path} ${entry.mode.toString(8)} ${await read(tree, path) ?? ''}`)
    }
  }
  await visit(ROOT_PATH)
  return lines
}

async function read (tree: PastTree, path: RelativePath): Promise<string | undefined> {
  const handle = await tree.open(path)
  if (handle === undefined) return undefined
  const content = readFileSync(handle.fd, 'utf8')
  await handle.close()
  return content
}

test('points are in the order of syncs and restore exactly, even if the clock was set back and forth between them', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree().write('f', 'first').mkdir('d', 0o750).link('l', 'f')
  const states: string[][] = []
  for (const [i, jumpMs] of [0, -5 * HOUR_MS, 400 * DAY_MS, -400 * DAY_MS].entries()) {
    clock.jump(jumpMs)
    source.write('f', `content ${String(i)}`).write(`d/${String(i)}`, 'new', 0o600)
    Object.assign(source.at('d'), { mode: [0o750, 0o700, 0o755, 0o711][i] })
    await push(area, source)
    states.push(describeSource(source))
  }
  const found = (await ids(area)).reverse()
  expect(found).toEqual(['p1', 'p2', 'p3', 'p4'])
  for (const [i, id] of found.entries()) expect(await restoredAt(area, id)).toEqual(states[i])
})

test('points, their ids and their states survive the loss of the index', async () => {
  const root = newFolder()
  const clock = new WallClock(Date.now())
  const first = await newArchive({ root, clock })
  const area = await first.area('laptop')
  const source = new SourceTree().write('kept', 'kept').write('changed', 'one')
  await push(area, source)
  const before = describeSource(source)
  clock.advance(HOUR_MS)
  source.write('changed', 'two').remove('kept')
  await push(area, source)
  const { points } = await area.points()
  await first.close()
  rmSync(join(root, '.filesync/index'), { recursive: true })
  const again = await (await newArchive({ root, clock })).area('laptop')
  await again.rebuild()
  expect((await again.points()).points).toEqual(points)
  expect(await restoredAt(again, 'p1')).toEqual(before)
  await push(again, source.write('third', '3'))
  expect(await again.points({ limit: 1 })).toMatchObject({ points: [{ id: 'p3', added: 1, replaced: 0, removed: 0 }], hasMore: true })
})

test('a sync that changes nothing makes no point, one of times alone does, and one that ended early counts with the next', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree().write('a', '1').write('b', '22')
  await push(area, source)
  await push(area, source)
  source.at('a').mtimeNs += 1_000_000_000n
  await push(area, source)
  source.write('a', '333').write('c', '4444').remove('b')
  await push(area, source, { end: 'abandon' })
  expect(await ids(area)).toHaveLength(2)
  source.write('a', '55555')
  await push(area, source)
  const { points } = await area.points()
  const numbers = points.map(({ added, replaced, removed, bytes }) => [added, replaced, removed, bytes])
  expect(numbers).toEqual([[1, 1, 1, 9], [0, 0, 0, 0], [2, 0, 0, 3]])
  expect((await area.points({ before: points[0]?.id ?? '' })).points).toEqual(points.slice(1))
  await expect(area.points({ before: 'p99' })).rejects.toMatchObject({ code: 'USAGE' })
})

test('points are dropped with the history that their states need, and the oldest that is left restores exactly', async () => {
  const clock = new WallClock(Date.UTC(2026, 0, 1, 12))
  const area = await (await newArchive({ clock, keepMs: 10 * DAY_MS })).area('laptop')
  const source = new SourceTree()
  const states: string[][] = []
  for (let i = 0; i < 4; i++) {
    await push(area, source.write('f', `content ${String(i)}`).write(`only${String(i)}`, 'x').remove(`only${String(i - 1)}`))
    states.push(describeSource(source))
    clock.advance(5 * DAY_MS)
    await area.prune()
  }
  // The history of the second sync is gone, and the state after it does not need it.
  expect(await ids(area)).toEqual(['p4', 'p3', 'p2'])
  for (const [i, id] of ['p2', 'p3', 'p4'].entries()) expect(await restoredAt(area, id)).toEqual(states[i + 1])
  await expect(area.openPast({ path: ROOT_PATH, at: { point: 'p1' } })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/"p1" is not a point .*no longer kept\. Points from p2 to p4/u) as unknown,
  })
})

test('the last point of each day is restored whole after versions were thinned, and others name what they lack', async () => {
  const clock = new WallClock(Date.UTC(2026, 0, 1, 8))
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree().write('busy', 'at first').write('calm', 'calm')
  const states = new Map<string, string[]>()
  for (let day = 0; day < 4; day++) {
    for (let i = 0; i < 4; i++) {
      await push(area, source.write('busy', `content ${String(i)} of day ${String(day)}`))
      states.set((await ids(area))[0] ?? '', describeSource(source))
      clock.advance(HOUR_MS)
    }
    clock.advance(20 * HOUR_MS)
  }
  clock.advance(2 * DAY_MS)
  expect(await area.prune()).toBeGreaterThan(3)
  let partial = 0
  for (const [i, [point, lines]] of [...states].entries()) {
    const to = newFolder()
    const { failures } = await area.restore({ path: ROOT_PATH, at: { point }, to })
    if (i % 4 === 3 || failures.length === 0) expect([point, failures, describeFolder(to)]).toEqual([point, [], lines])
    else {
      partial++
      expect(failures).toMatchObject([{ path: 'busy', message: expect.stringContaining('has expired') as unknown }])
    }
  }
  expect(partial).toBeGreaterThan(3)
})

test('a past state is read by its listings, below a path and for a single file', async () => {
  const { area, source } = await storeArea(new SourceTree()
    .write('d/a', 'first', 0o640).write('d/deep/b', 'stays').mkdir('d/empty', 0o711).link('d/link', 'a').write('other', 'x'))
  source.write('d/a', 'second').remove('d/deep').write('other', 'y').write('d/deep', 'a file now')
  await push(area, source)
  const tree = await opened(area, '', 'p1')
  expect(tree).toMatchObject({ at: { point: 'p1' }, kind: 'directory', files: 4, bytes: 11, directories: 3, doubts: [] })
  expect(await contents(tree)).toEqual([
    'd/ 755', 'd/a 640 first', 'd/deep/ 755', 'd/deep/b 644 stays', 'd/empty/ 711', 'd/link -> a', 'other 644 x',
  ])
  await tree.close()
  const below = await opened(area, 'd/deep', 'p1')
  expect(below).toMatchObject({ kind: 'directory', files: 1, directories: 1 })
  expect(await contents(below)).toEqual(['d/ 755', 'd/deep/ 755', 'd/deep/b 644 stays'])
  const single = await opened(area, 'd/a', 'p1')
  expect(single).toMatchObject({ kind: 'file', files: 1, bytes: 5, directories: 0 })
  expect(await contents(single)).toEqual(['d/ 755', 'd/a 640 first'])
  expect(await area.openPast({ path: asPath('new'), at: { point: 'p1' } })).toBeUndefined()
})

test('a past state opens another copy of a file whose own is damaged or missing, and damage is noted', async () => {
  const { area, source, at } = await storeArea(new SourceTree()
    .write('damaged', 'the same content').write('missing', 'the same content').write('copy', 'the same content').write('single', 'alone'))
  flipBit(at('damaged'))
  rmSync(at('missing'))
  writeFileSync(at('single'), 'gone')
  const tree = await opened(area)
  expect(await read(tree, asPath('missing'))).toBe('the same content')
  expect(await read(tree, asPath('damaged'))).not.toBe('the same content')
  tree.reject(asPath('damaged'))
  expect(await read(tree, asPath('damaged'))).toBe('the same content')
  expect(await read(tree, asPath('single'))).toBeUndefined()
  // While the tree is open, a sync moves its content to versions.
  source.write('copy', 'replaced').write('damaged', 'replaced').write('missing', 'replaced')
  await push(area, source)
  tree.reject(asPath('copy'))
  expect(await read(tree, asPath('copy'))).toBe('the same content')
  await tree.close()
  expect((await area.verify()).problems.map(({ path }) => path)).toContain('single')
})

const memoryChild = fileURLToPath(new URL('./support/past-memory.ts', import.meta.url))

// With several objects for each of its 200 000 files, the state alone does not fit.
test('a past state takes little more memory than its listings and digests', { timeout: 120_000 }, () => {
  const { stdout, stderr } = spawnSync(process.execPath, [
    '--max-old-space-size=64', '--conditions=@filesync/source', memoryChild, '400', '500',
  ], { encoding: 'utf8' })
  expect([stdout, stderr]).toEqual(['200000 files in 400 directories', ''])
})

const child = fileURLToPath(new URL('./support/restore-child.ts', import.meta.url))
const preload = fileURLToPath(new URL('./support/kill-at.mjs', import.meta.url))

test('a restore that is killed at any change leaves nothing open to more users than it was', { timeout: 120_000 }, async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  const area = await archive.area('laptop')
  const source = new SourceTree().mkdir('private', 0o700).write('private/diary', 'secret', 0o600).mkdir('private/deep', 0o700)
    .write('private/deep/key', 'k', 0o400).mkdir('shared', 0o750).write('shared/f', 'f', 0o640)
    .mkdir('sealed', 0o500).write('sealed/s', 's')
  await push(area, source)
  await archive.close()
  const wholeTo = join(newFolder(), 'out')
  const restore = (to: string, at: number): string => spawnSync(process.execPath, [
    '--conditions=@filesync/source', '--import', preload, child, root, to,
  ], { encoding: 'utf8', env: { ...process.env, ...(at > 0 && { FILESYNC_TEST_KILL_AT: `1:${String(at)}` }) } }).stdout
  expect(restore(wholeTo, 0)).toContain('restored 0')
  const whole = describeTree(wholeTo)
  let killed = 0
  for (let at = 3; killed === 0 || at < 60; at += 6) {
    const to = join(newFolder(), 'out')
    const told = restore(to, at)
    if (!told.includes('killed')) break
    killed++
    if (!existsSync(to)) continue
    for (const [path, { mode }] of describeTree(to)) {
      // A file that is not in place yet has the name of none, and is one of its directory.
      const { directory } = splitPath(asPath(path))
      const inside = [...whole].filter(([other]) => splitPath(asPath(other)).directory === directory)
      const final = whole.get(path)?.mode ?? inside.reduce((modes, [, { mode: other }]) => modes | other, 0o600)
      expect(mode & ~final & 0o077, `${path} ${mode.toString(8)} after a kill at change ${String(at)}`).toBe(0)
    }
    // What is left does not keep the next restore from finishing.
    expect(restore(to, 0)).toContain('restored 0')
    const left = new Map([...describeTree(to)].filter(([path]) => !splitPath(asPath(path)).name.startsWith('.filesync-restoring-')))
    expect(new Set(left.keys())).toEqual(new Set(whole.keys()))
  }
  expect(killed).toBeGreaterThan(3)
  expect(lstatSync(join(wholeTo, 'private')).mode & 0o777).toBe(0o700)
  expect(readdirSync(wholeTo).sort()).toEqual(['private', 'sealed', 'shared'])
})
