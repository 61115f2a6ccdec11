import { expect, test } from 'vitest'
import { playHistory } from './support/history-play.ts'

const LONG = { timeout: 120_000 }
const SEED = Number(process.env['FILESYNC_SEED'] ?? 20_261_130)

test.each([0, 1, 2])(`a restore of any moment is exact or names what differs (seed ${String(SEED)}, run %i)`, LONG, async run => {
  const report = await playHistory(SEED + run, 12)
  expect(report.faults).toEqual([])
  expect(report.during).toBeGreaterThan(10)
  expect(report.points).toBeGreaterThan(3)
})

test.each([3, 4, 5])(`points tell what changed since the last one (seed ${String(SEED)}, run %i)`, LONG, async run => {
  const report = await playHistory(SEED + run, 16, 'none')
  expect(report.faults).toEqual([])
  expect(report.points).toBeGreaterThan(5)
})
