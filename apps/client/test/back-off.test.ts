import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backOffMs } from '../src/back-off.ts'

test('waits double from a second up to the bound', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8].map(failures => backOffMs(failures, 60_000, 1))).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
})

test('half of a wait is by chance', () => {
  expect([0, 0.5, 1].map(random => backOffMs(3, 60_000, random))).toEqual([2000, 3000, 4000])
})

test('no wait is longer than the bound or shorter than half a second, however often it failed', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1000, max: 86_400_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, maxMs, random) => {
    const waitMs = backOffMs(failures, maxMs, random)
    expect(waitMs).toBeGreaterThanOrEqual(500)
    expect(waitMs).toBeLessThanOrEqual(maxMs)
  }))
})
