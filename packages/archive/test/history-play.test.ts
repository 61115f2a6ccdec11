import { expect, test } from 'vitest'
import { playHistory } from './history-play.ts'

const SEED = Number(process.env['FILESYNC_SEED'] ?? 20_261_130)

test.each([0, 1, 2])(`any moment comes back as it was, or is named, also during a sync and after changes by hand (seed ${String(SEED)}, run %i)`, { timeout: 120_000 }, async run => {
  const report = await playHistory(SEED + run, 12)
  expect(report.faults).toEqual([])
  expect(report.during).toBeGreaterThan(10)
})
