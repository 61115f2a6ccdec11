import { expect, test } from 'vitest'
import { atRate } from '../src/status/run-record.ts'
import type { Activity } from '../src/status/run-record.ts'

const SENDING: Activity = {
  doing: 'sending', files: 0, filesWanted: 1, bytes: 100_000_000, bytesWanted: 400_000_000, bytesPerSecond: 30_000_000, remainingMs: 10_000,
  path: undefined, isCompressing: false,
}

test('a transfer is shown at its rate as of now, with the time that it takes at that', () => {
  expect(atRate(SENDING, 15_000_000)).toEqual({ ...SENDING, bytesPerSecond: 15_000_000, remainingMs: 20_000 })
  expect(atRate(SENDING, 30_000_000)).toEqual(SENDING)
})

test('one that stands still is shown so, and its end is not foretold', () => {
  expect(atRate(SENDING, 0)).toEqual({ ...SENDING, bytesPerSecond: 0, remainingMs: undefined })
})

test('what cannot be told stays so, and what is no transfer stays as it is', () => {
  expect(atRate({ ...SENDING, remainingMs: undefined }, 10_000)).toMatchObject({ remainingMs: undefined, bytesPerSecond: 10_000 })
  expect(atRate({ ...SENDING, bytesPerSecond: 0 }, 10_000)).toMatchObject({ remainingMs: 10_000 })
  expect(atRate({ doing: 'comparing' }, 10_000)).toEqual({ doing: 'comparing' })
})
