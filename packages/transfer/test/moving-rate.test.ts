import { expect, test } from 'vitest'
import { MovingRate, ProgressMeter } from '@filesync/transfer'
import type { TransferProgress } from '@filesync/transfer'

test('a steady stream has its rate at every moment', () => {
  const rate = new MovingRate(0)
  for (let nowMs = 18; nowMs < 30_000; nowMs += 18) {
    rate.record(nowMs, nowMs * 57_000)
    if (nowMs < 1_000) expect(rate.perSecond(nowMs)).toBeLessThanOrEqual(57_000_000)
    // Also between two records, which are up to 100 ms apart.
    else for (const later of [0, 50, 100]) expect(Math.abs(rate.perSecond(nowMs + later) / 57_000_000 - 1)).toBeLessThan(0.11)
  }
  expect(rate.perSecond(29_990) / 57_000_000).toBeCloseTo(1, 1)
})

test('a burst at the start is not extrapolated', () => {
  const rate = new MovingRate(0)
  rate.record(1, 1 << 20)
  expect(rate.perSecond(1)).toBe(1 << 20)
  rate.record(2_000, 2 << 20)
  expect(rate.perSecond(2_000)).toBe(1 << 20)
})

test('the rate of a stalled transfer decreases within the window, and is 0 after it', () => {
  const rate = new MovingRate(0)
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 100) rate.record(nowMs, nowMs)
  expect(rate.perSecond(20_000)).toBeCloseTo(1000, -1)
  expect(rate.perSecond(25_000)).toBeCloseTo(500, -2)
  expect(rate.perSecond(30_100)).toBe(0)
  rate.record(40_000, 25_000)
  expect(rate.perSecond(40_000)).toBe(500)
})

test('what the server already had of a file counts as progress, but not as speed', () => {
  const reports: TransferProgress[] = []
  const meter = new ProgressMeter(report => reports.push(report), 0)
  meter.bytesWanted = 3_000_000_000
  meter.isTotalKnown = true
  // Read again at the speed of the disk, then sent at 20 MB a second.
  for (let nowMs = 100; nowMs <= 5_000; nowMs += 100) {
    meter.bytes += 20_200_000
    meter.skippedBytes += 20_200_000
    meter.update(nowMs)
  }
  expect(reports.at(-1)).toMatchObject({ bytes: 1_010_000_000, bytesPerSecond: 0, remainingMs: undefined })
  for (let nowMs = 5_100; nowMs <= 25_000; nowMs += 100) {
    meter.bytes += 2_000_000
    meter.carriedBytes += 2_000_000
    meter.update(nowMs)
    expect(reports.at(-1)?.bytesPerSecond).toBeLessThanOrEqual(20_600_000)
  }
  expect(reports.at(-1)?.bytesPerSecond).toBeGreaterThan(19_400_000)
  expect((reports.at(-1)?.remainingMs ?? 0) / 1000).toBeCloseTo((3_000 - 1_010 - 398) / 20, -1)
})
