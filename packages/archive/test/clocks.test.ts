import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import type { Archive, Area } from '../src/index.ts'
import { newAge, advanceAge } from '../src/store/archive-age.ts'
import { Timeline } from '../src/history/timeline.ts'
import { newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NOW_MS = Date.UTC(2026, 10, 30, 12)

interface Boot {
  readonly archive: Archive
  readonly area: Area
  readonly clock: WallClock
}

/** A server that starts on an archive with a clock that says so. */
async function boot (root: string, nowMs: number, keepMs: number = 30 * DAY_MS): Promise<Boot> {
  const clock = new WallClock(nowMs)
  const archive = await newArchive({ root, clock, keepMs })
  return { archive, area: await archive.area('laptop'), clock }
}

async function write (area: Area, source: SourceTree, content: string): Promise<void> {
  await push(area, source.write('f', content))
}

async function restored (area: Area, atMs: number): Promise<string> {
  const to = newFolder()
  await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to })
  return readFileSync(join(to, 'f'), 'utf8')
}

const wrongClocks = [['an hour ahead', NOW_MS + HOUR_MS], ['in 2042', Date.UTC(2042, 0)]] as const

test.each(wrongClocks)('after a boot with a clock that was %s, every time that was shown restores its version', async (_, wrongMs) => {
  const [root, source] = [newFolder(), new SourceTree()]
  const first = await boot(root, wrongMs)
  await write(first.area, source, 'v1')
  first.clock.advance(60_000)
  await write(first.area, source, 'v2')
  const [shownThen] = await first.area.versions(ROOT_PATH)
  first.clock.advance(60_000)
  await first.archive.close()

  const second = await boot(root, NOW_MS)
  await write(second.area, source, 'v3')
  second.clock.advance(60_000)
  expect(await restored(second.area, second.clock.nowMs())).toBe('v3')
  expect(await restored(second.area, NOW_MS - 1)).toBe('v2')
  const shown = await second.area.versions(ROOT_PATH)
  expect(shown.map(({ untilMs }) => untilMs)).toEqual([NOW_MS - 1, shownThen?.untilMs])
  // Newest first, whatever the clock said.
  const brought: string[] = []
  for (const { untilMs } of shown) brought.push(await restored(second.area, untilMs))
  expect(brought).toEqual(['v2', 'v1'])
  // Also when the right clock has come past the wrong times.
  second.clock.advance(wrongMs - NOW_MS + HOUR_MS)
  await write(second.area, source, 'v4')
  expect(await restored(second.area, shownThen?.untilMs ?? 0)).toBe('v1')
  expect(await restored(second.area, second.clock.nowMs())).toBe('v4')
})

test('the order of versions is known from the disk if the index is lost, even if the clock was set back', async () => {
  const [root, source] = [newFolder(), new SourceTree()]
  const first = await boot(root, NOW_MS + HOUR_MS)
  for (const content of ['v1', 'v2']) await write(first.area, source, content)
  await first.archive.close()
  const second = await boot(root, NOW_MS)
  for (const content of ['v3', 'v4']) await write(second.area, source, content)
  await second.archive.close()
  rmSync(join(root, '.filesync/index'), { recursive: true })
  const folders = readdirSync(join(root, '.filesync/versions/laptop')).sort()
  expect(folders.map(name => readFileSync(join(root, '.filesync/versions/laptop', name, 'f'), 'utf8'))).toEqual(['v1', 'v2', 'v3'])

  const third = await boot(root, NOW_MS + 60_000)
  await third.area.rebuild()
  const versions = await third.area.versions(ROOT_PATH)
  const brought: string[] = []
  for (const { untilMs } of versions) brought.push(await restored(third.area, untilMs))
  expect(brought).toEqual(['v3', 'v2', 'v1'])
  // The next sync continues after the highest number.
  await write(third.area, source, 'v5')
  expect(readdirSync(join(root, '.filesync/versions/laptop')).sort().at(-1)).toMatch(/^0000000005-/u)
})

test('a boot 31 days ahead drops no versions for hours, and none at all if the clock is corrected by then', async () => {
  const [root, source] = [newFolder(), new SourceTree()]
  const first = await boot(root, NOW_MS)
  for (const content of ['v1', 'v2']) await write(first.area, source, content)
  await first.area.prune()
  await first.archive.close()

  const wrong = await boot(root, NOW_MS + 31 * DAY_MS)
  expect(await wrong.area.prune()).toBe(0)
  wrong.clock.advance(6 * HOUR_MS)
  expect(await wrong.area.prune()).toBe(0)
  await wrong.archive.close()

  const right = await boot(root, NOW_MS + 6 * HOUR_MS)
  expect(await right.area.prune()).toBe(0)
  for (let hours = 0; hours < 29 * 24; hours += 6) {
    right.clock.advance(6 * HOUR_MS)
    expect(await right.area.prune()).toBe(0)
  }
  right.clock.advance(2 * DAY_MS)
  expect(await right.area.prune()).toBe(1)
})

test('versions from a boot in 2042 expire like any others', async () => {
  const [root, source] = [newFolder(), new SourceTree()]
  const wrong = await boot(root, Date.UTC(2042, 0))
  for (const content of ['v1', 'v2']) await write(wrong.area, source, content)
  await wrong.area.prune()
  await wrong.archive.close()
  const right = await boot(root, NOW_MS)
  await right.area.prune()
  right.clock.advance(31 * DAY_MS)
  expect(await right.area.prune()).toBe(1)
})

test('an archive ages while its server runs, and catches up on the time that it did not run', () => {
  const start = newAge(NOW_MS)
  const served = advanceAge(start, { nowMs: NOW_MS + DAY_MS, ranMs: DAY_MS })
  expect(served.ageMs).toBe(NOW_MS + DAY_MS)
  // Off for ten days: for six hours of running nothing of it counts, then all of it soon.
  let off = advanceAge(served, { nowMs: NOW_MS + 11 * DAY_MS, ranMs: 0 })
  expect(off.ageMs).toBe(served.ageMs)
  off = advanceAge(off, { nowMs: NOW_MS + 11 * DAY_MS + 6 * HOUR_MS, ranMs: 6 * HOUR_MS })
  expect(off.ageMs).toBe(served.ageMs + 6 * HOUR_MS)
  off = advanceAge(off, { nowMs: NOW_MS + 11 * DAY_MS + 9 * HOUR_MS, ranMs: 3 * HOUR_MS })
  expect(off.ageMs).toBe(NOW_MS + 11 * DAY_MS + 9 * HOUR_MS)
  expect(off.gaps).toEqual([])
})

test('an archive ages in step with the days if its server runs for a quarter of an hour a day', () => {
  let [age, nowMs] = [newAge(NOW_MS), NOW_MS]
  for (let day = 0; day < 100; day++) {
    nowMs += DAY_MS - HOUR_MS / 4
    age = advanceAge(age, { nowMs, ranMs: 0 })
    nowMs += HOUR_MS / 4
    age = advanceAge(age, { nowMs, ranMs: HOUR_MS / 4 })
  }
  expect((nowMs - age.ageMs) / DAY_MS).toBeLessThan(30)
  expect(age.ageMs).toBeLessThanOrEqual(nowMs)
})

test('a time selects the stretch of history that contains it, or the last one of several', () => {
  const known = [{ count: 1, ms: 100 }, { count: 2, ms: 200 }, { count: 2, ms: 220 }, { count: 3, ms: 50 }, { count: 4, ms: 150 }]
  const timeline = new Timeline(known, [{ count: 2, ms: 210 }])
  const counts = [40, 60, 100, 140, 160, 210, 215, 1000].map(ms => timeline.at(ms).count)
  expect(counts).toEqual([2, 3, 3, 3, 4, 2, 4, 4])
  expect(new Timeline([], []).at(5).count).toBe(0)
})
