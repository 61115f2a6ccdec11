import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextSyncInMs } from '../src/schedule.ts'

test('clients are spread evenly over a tenth of the interval to either side', () => {
  expect([0, 0.25, 0.5, 1].map(random => nextSyncInMs(300_000, random))).toEqual([270_000, 285_000, 300_000, 330_000])
})

test('the wait is a whole number of milliseconds, near the interval', () => {
  fc.assert(fc.property(fc.integer({ min: 1000, max: 86_400_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (intervalMs, random) => {
    const waitMs = nextSyncInMs(intervalMs, random)
    expect(Number.isInteger(waitMs)).toBe(true)
    expect(Math.abs(waitMs - intervalMs)).toBeLessThanOrEqual(intervalMs * 0.1 + 1)
  }))
})
