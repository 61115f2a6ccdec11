import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { expiredVersions } from '../src/history/retention.ts'
import type { AgedVersion } from '../src/history/retention.ts'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn, WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const DAY_MS = 86_400_000

test('restores a file, a directory and everything as they were', async () => {
  const root = newFolder()
  const clock = new WallClock(Date.now())
  const area = await (await newArchive({ root, clock })).area('laptop')
  const source = new SourceTree().write('d/a', 'first').write('d/b', 'stays').write('gone/x', 'x').link('l', 'd/a')
  await push(area, source)
  const original = describeSource(source)
  clock.jump(60_000)
  const atMs = clock.nowMs() - 30_000
  source.write('d/a', 'second').remove('gone').write('new', 'later')
  await push(area, source)

  const all = newFolder()
  expect(await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to: all })).toMatchObject({ files: 4, failures: [] })
  const withoutTimes = (lines: readonly string[]): string[] => lines.map(line => line.replace(/^(.*\/ \d+) \d+$/, '$1'))
  expect(withoutTimes(describeFolder(all))).toEqual(withoutTimes(original))
  writeFileSync(join(all, 'd/a'), 'is newer')
  const message = 'something else exists at this path and was kept; choose another directory, or use --overwrite'
  const partly = { files: 3, failures: [{ path: 'd/a', message }] }
  expect(await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to: all })).toMatchObject(partly)
  expect(readFileSync(join(all, 'd/a'), 'utf8')).toBe('is newer')
  expect(await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to: all, overwrite: true })).toMatchObject({ files: 4, failures: [] })
  expect(withoutTimes(describeFolder(all))).toEqual(withoutTimes(original))

  const one = newFolder()
  await area.restore({ path: asPath('d/a'), at: { ms: atMs }, to: one })
  expect(readFileSync(join(one, 'd/a'), 'utf8')).toBe('first')
  expect((await area.versions(asPath('gone'))).map(({ path }) => path)).toEqual(['gone', 'gone/x'])
  await expect(area.restore({ path: asPath('never'), at: { ms: atMs }, to: one })).rejects.toMatchObject({ code: 'USAGE' })
  await expect(area.restore({ path: ROOT_PATH, at: { ms: atMs }, to: join(root, 'laptop/into') })).rejects.toThrow(/inside the archive/)
})

test('a restore replaces nothing in the target directory, except with overwrite', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('d/a', 'a').write('f', 'f').write('.filesync-restoring', 'mine')
  await push(area, source)
  const restore = async (to: string, overwrite = false): Promise<unknown> => await area.restore({
    path: ROOT_PATH,
    at: { ms: Infinity },
    to,
    overwrite,
  })
  const to = newFolder()
  const [elsewhere, linked] = [newFolder(), join(newFolder(), 'link')]
  symlinkSync(elsewhere, join(to, 'd'))
  mkdirSync(join(to, 'f'))
  writeFileSync(join(to, 'f/other'), 'other')
  const message = 'something else exists at this path and was kept; choose another directory, or use --overwrite'
  expect(await restore(to)).toMatchObject({
    files: 1,
    failures: [{ path: 'd', message }, { path: 'f', message }, { path: 'd/a', message }],
  })
  expect(readFileSync(join(to, '.filesync-restoring'), 'utf8')).toBe('mine')
  // A link gives way to a directory; a directory with something in it does not to a file.
  expect(await restore(to, true)).toMatchObject({ files: 2, failures: [{ path: 'f', message }] })
  expect(readFileSync(join(to, 'd/a'), 'utf8')).toBe('a')
  expect([readdirSync(elsewhere), readdirSync(join(to, 'f')), readdirSync(to)]).toEqual([[], ['other'], ['.filesync-restoring', 'd', 'f']])

  symlinkSync(elsewhere, linked)
  expect(await restore(linked)).toMatchObject({ files: 3, failures: [] })
  await expect(restore(join(root, 'other/deep'))).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('inside the archive') as unknown,
  })
  expect(readdirSync(root).sort()).toEqual(['.filesync', 'laptop'])
  await expect(restore('/proc/nothing/is/made/here')).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('/proc/nothing') as unknown,
  })
})

test('keeps every version of a day, the first and the last of each day after that, and none past the retention time', async () => {
  const root = newFolder()
  const clock = new WallClock(Date.UTC(2026, 0, 1, 12))
  const area = await (await newArchive({ root, clock, keepMs: 10 * DAY_MS })).area('laptop')
  const source = new SourceTree()
  for (let i = 0; i < 6; i++) {
    source.write('f', `content ${String(i)}`)
    await push(area, source)
    clock.jump(60_000)
  }
  expect(versionsIn(root, 'laptop').length).toBe(5)
  expect(await area.prune()).toBe(0)
  clock.advance(2 * DAY_MS)
  expect(await area.prune()).toBe(3)
  clock.advance(20 * DAY_MS)
  expect(await area.prune()).toBe(2)
  expect(describeFolder(join(root, '.filesync/versions/laptop'))).toEqual([])
  expect(readFileSync(join(root, 'laptop/f'), 'utf8')).toBe('content 5')
})

test('thins versions by path and day', () => {
  const nowMs = 100 * DAY_MS
  const version = (path: string, ageMs: number): AgedVersion => ({ path: asPath(path), ageMs, count: 1 })
  const versions = [
    version('a', nowMs - 1),
    version('a', nowMs - 2),
    version('a', 90.9 * DAY_MS),
    version('a', 90.5 * DAY_MS),
    version('a', 90.1 * DAY_MS),
    version('b', 90.2 * DAY_MS),
    version('a', 60 * DAY_MS),
  ]
  const expired = expiredVersions(versions, { ageMs: nowMs, keepMs: 30 * DAY_MS })
  expect(expired.map(({ path, ageMs }) => `${path} ${String(ageMs / DAY_MS)}`)).toEqual(['a 90.5', 'a 60'])
})

test('finds damage by reading everything, and requests the damaged files again', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('d/damaged', 'precious').write('d/missing', 'as well').write('fine', 'fine')
  await push(area, source)
  expect(area.stat(asPath('fine'))).toMatchObject({ sizeBytes: 4, verifiedAtMs: 0 })
  const path = join(root, 'laptop/d/damaged')
  writeFileSync(path, 'PRECIOUS')
  appendFileSync(path, '')
  rmSync(join(root, 'laptop/d/missing'))
  const seen: number[] = []
  const verified = await area.verify({ onProgress: ({ files }) => { seen.push(files) } })
  expect(verified.files).toBe(3)
  expect(seen.at(-1)).toBe(3)
  expect(verified.problems.map(problem => problem.path).sort()).toEqual(['d/damaged', 'd/missing'])
  expect(area.stat(asPath('fine'))?.verifiedAtMs).toBeGreaterThan(0)
  expect(area.stat(asPath('d/damaged'))).toBeUndefined()
  expect((await push(area, source)).asked.sort()).toEqual(['d/damaged', 'd/missing'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await area.verify()).problems).toEqual([])
})

test('uses a copy that is in its place already', async () => {
  const root = newFolder()
  const first = newFolder()
  const source = new SourceTree().write('a/b', 'content').write('c', 'more')
  const archive = await newArchive({ root: first })
  await push(await archive.area('laptop'), source)
  const { spawnSync } = await import('node:child_process')
  spawnSync('cp', ['-a', join(first, 'laptop'), root])
  const area = await (await newArchive({ root })).area('laptop')
  expect(await push(area, source)).toMatchObject({ asked: [], files: 0, problems: [] })
  expect((await push(area, source)).listings).toBe(0)
})
