import { expect, test } from 'vitest'
import { atRate } from '../src/status/run-record.ts'
import type { Activity } from '../src/status/run-record.ts'

const SENDING: Activity = {
  doing: 'sending', files: 0, filesWanted: 1, bytes: 100_000_000, bytesWanted: 400_000_000, bytesPerSecond: 30_000_000, remainingMs: 10_000,
  path: undefined, isCompressing: false,
}

test('shows a transfer with its current rate and the time left at that rate', () => {
  expect(atRate(SENDING, 15_000_000)).toEqual({ ...SENDING, bytesPerSecond: 15_000_000, remainingMs: 20_000 })
  expect(atRate(SENDING, 30_000_000)).toEqual(SENDING)
})

test('shows no time left for a transfer that has stalled', () => {
  expect(atRate(SENDING, 0)).toEqual({ ...SENDING, bytesPerSecond: 0, remainingMs: undefined })
})

test('leaves an unknown time left and other activities unchanged', () => {
  expect(atRate({ ...SENDING, remainingMs: undefined }, 10_000)).toMatchObject({ remainingMs: undefined, bytesPerSecond: 10_000 })
  expect(atRate({ ...SENDING, bytesPerSecond: 0 }, 10_000)).toMatchObject({ remainingMs: 10_000 })
  expect(atRate({ doing: 'comparing' }, 10_000)).toEqual({ doing: 'comparing' })
})
