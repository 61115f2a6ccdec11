import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import type { Area } from '../src/index.ts'
import { describeFolder, describeSource, newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const STEP_MS = 60_000

async function restored (area: Area, atMs: number, path = ''): Promise<string[]> {
  const to = newFolder()
  expect((await area.restore({ path: asPath(path), at: { ms: atMs }, to })).failures).toEqual([])
  return describeFolder(to)
}

test('directories and files are restored with their former modes and times, even if removed or made public since', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree()
    .mkdir('private', 0o700).write('private/diary', 'secret', 0o600).mkdir('opened', 0o700).write('opened/f', 'x', 0o400)
    .mkdir('empty', 0o711).write('k', 'k')
  await push(area, source)
  const [atMs, lines] = [clock.nowMs(), describeSource(source)]
  clock.advance(STEP_MS)
  source.remove('private').remove('empty')
  Object.assign(source.at('opened'), { mode: 0o755 })
  Object.assign(source.at('opened/f'), { mode: 0o644, mtimeNs: 1_700_000_500_000_000_000n })
  await push(area, source)
  clock.advance(STEP_MS)
  expect(await restored(area, atMs)).toEqual(lines)
  expect(await restored(area, clock.nowMs())).toEqual(describeSource(source))
  expect((await restored(area, atMs, 'private/diary'))[0]).toMatch(/^private\/ 700 /u)
})

test('a file that was moved and linked is restored in its former place only', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree().write('k', 'k').write('p/f', 'x').mkdir('q')
  await push(area, source)
  clock.advance(STEP_MS)
  const [atMs, lines] = [clock.nowMs(), describeSource(source)]
  clock.advance(STEP_MS)
  source.move('p/f', 'q/one').write('q/two', 'x')
  Object.assign(source.at('q/two'), source.at('q/one'))
  await push(area, source)
  clock.advance(STEP_MS)
  source.remove('q/one').remove('q/two')
  await push(area, source)
  expect(await restored(area, atMs)).toEqual(lines)
})

test('a moved file leaves the mode of its old name as it is, in the mirror, in versions and when it is restored', async () => {
  const clock = new WallClock(Date.now())
  const root = newFolder()
  const area = await (await newArchive({ root, clock })).area('laptop')
  const mirror = join(root, 'laptop')
  const source = new SourceTree().write('k', 'k').write('private', 'secret', 0o600)
  const moveOut = (): void => { Object.assign(source.move('private', 'public').at('public'), { mode: 0o644 }) }
  const modes = (folder: string): string[] => (
    ['private', 'public'].map(name => (statSync(join(folder, name), { throwIfNoEntry: false })?.mode ?? 0).toString(8).slice(-3))
  )
  await push(area, source)
  clock.advance(STEP_MS)
  moveOut()
  // Neither a sync that ends early nor one that cannot prove the move removes the old name.
  await push(area, source, { end: 'abandon' })
  expect(modes(mirror)).toEqual(['600', '644'])
  const both = newFolder()
  await area.restore({ path: ROOT_PATH, at: { ms: clock.nowMs() }, to: both })
  expect(modes(both)).toEqual(['600', '644'])
  clock.advance(STEP_MS)
  // For the index the old name never changed: nothing would correct a mode that is wrong only on the disk.
  Object.assign(source.move('public', 'private').at('private'), { mode: 0o600 })
  await push(area, source)
  expect(describeFolder(mirror)).toEqual(describeSource(source))
  clock.advance(STEP_MS)
  moveOut()
  await push(area, source, { withhold: path => path === 'public' })
  expect(modes(mirror)).toEqual(['600', '0'])
  clock.advance(STEP_MS)
  expect(await push(area, source)).toMatchObject({ asked: [], renamed: 1, problems: [] })
  expect(describeFolder(mirror)).toEqual(describeSource(source))
  const versions = join(root, '.filesync/versions/laptop')
  expect(readdirSync(versions).flatMap(folder => modes(join(versions, folder))).filter(mode => mode !== '0').sort()).toEqual(['600', '644'])
})

test('the time shown for a version restores it, and the next millisecond restores what replaced it', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  const source = new SourceTree().write('changed', 'first').write('removed', 'was')
  await push(area, source)
  clock.advance(STEP_MS)
  source.write('changed', 'second').remove('removed')
  let placedMs = 0
  await push(area, source, {
    onSync: sync => { sync.onStored = () => { placedMs = clock.nowMs() } },
    before: async () => {
      while (placedMs === 0) await new Promise(resolve => { setImmediate(resolve) })
      // What is gone leaves a minute after what was replaced, and in between is another state.
      clock.advance(STEP_MS)
    },
  })
  const first = Buffer.from('first').toString('base64')
  const nameOf = (line: string): string => line.split(' ')[0] + (line.includes(first) ? ' first' : '')
  const names = async (atMs: number): Promise<string[]> => (await restored(area, atMs)).map(nameOf)
  const until = new Map((await area.versions(ROOT_PATH)).map(({ path, untilMs }) => [path as string, untilMs]))
  expect(await names(until.get('changed') ?? 0)).toEqual(['changed first', 'removed'])
  expect(await names((until.get('changed') ?? 0) + 1)).toEqual(['changed', 'removed'])
  expect(await names(placedMs + STEP_MS / 2)).toEqual(['changed', 'removed'])
  expect(await names(until.get('removed') ?? 0)).toEqual(['changed', 'removed'])
  expect(await names((until.get('removed') ?? 0) + 1)).toEqual(['changed'])
})

test('a sync that ends early sets no mode of a directory that the history does not record', async () => {
  const [root, clock] = [newFolder(), new WallClock(Date.now())]
  const area = await (await newArchive({ root, clock })).area('laptop')
  const source = new SourceTree().mkdir('d', 0o755).write('d/f', 'x')
  await push(area, source)
  clock.advance(STEP_MS)
  Object.assign(source.at('d'), { mode: 0o700 })
  await push(area, source.write('new', 'y'), { end: 'abandon' })
  const modes = (lines: readonly string[]): string[] => lines.map(line => line.split(' ').slice(0, 2).join(' '))
  expect(modes(await restored(area, clock.nowMs()))).toEqual(modes(describeFolder(join(root, 'laptop'))))
  clock.advance(STEP_MS)
  await push(area, source)
  expect(await restored(area, clock.nowMs())).toEqual(describeSource(source))
})

test('an existing directory with a wider mode is restricted', async () => {
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ clock })).area('laptop')
  await push(area, new SourceTree().mkdir('private', 0o700).write('private/diary', 'secret', 0o600))
  const to = newFolder()
  mkdirSync(join(to, 'private'))
  chmodSync(join(to, 'private'), 0o777)
  writeFileSync(join(to, 'private/mine'), 'mine')
  expect((await area.restore({ path: ROOT_PATH, at: { ms: clock.nowMs() }, to })).failures).toEqual([])
  expect(statSync(join(to, 'private')).mode & 0o777).toBe(0o700)
})

// Modes do not restrict root, so another user restores.
test('a second restore over directories without write permission succeeds', () => {
  const folder = newFolder()
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(folder, 65_534, 65_534)
  const child = fileURLToPath(new URL('./support/restore-twice.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@filesync/source', child, folder], {
    encoding: 'utf8',
    ...(isRoot && { uid: 65_534, gid: 65_534 }),
  })
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual([{ files: 2, failures: [] }, { files: 2, failures: [] }, { files: 2, failures: [] }])
})
