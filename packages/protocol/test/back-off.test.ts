import fc from 'fast-check'
import { expect, it } from 'vitest'
import { backOffMs } from '../src/index.ts'

const BOUNDS = { firstMs: 1000, maxMs: 60_000 }

it('doubles from the first delay up to the limit', () => {
  expect(
    [1, 2, 3, 4, 5, 6, 7, 8].map(tries => backOffMs(tries, BOUNDS, 1))
  ).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
})

it('randomizes half of a delay', () => {
  expect([0, 0.5, 1].map(random => backOffMs(3, BOUNDS, random))).toEqual([2000, 3000, 4000])
})

it('never exceeds the limit or falls below half of the first delay, whatever the number of attempts', () => {
  const [anyTries, anyMaxMs] = [fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1000, max: 86_400_000 })]
  const anyRandom = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(fc.property(anyTries, anyMaxMs, anyRandom, (tries, maxMs, random) => {
    const waitMs = backOffMs(tries, { firstMs: 1000, maxMs }, random)
    expect(waitMs).toBeGreaterThanOrEqual(500)
    expect(waitMs).toBeLessThanOrEqual(maxMs)
  }))
})
