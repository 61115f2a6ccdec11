import { expect, test } from 'vitest'
import { LIMITS } from '@filesync/protocol'
import { slowedBy } from '../src/run-record.ts'
import type { Activity } from '../src/run-record.ts'

const SENDING: Activity = {
  doing: 'sending', files: 0, filesWanted: 1, bytes: 100_000_000, bytesWanted: 400_000_000, bytesPerSecond: 30_000_000, remainingMs: 10_000,
  path: undefined, isCompressing: false,
}

test('a transfer that stands still is not shown as fast as it was', () => {
  const slowed = slowedBy(SENDING, 10_000)
  expect(slowed).toMatchObject({ bytes: 100_000_000, bytesPerSecond: LIMITS.rawFrameBytes / 10, remainingMs: 300_000_000 / (LIMITS.rawFrameBytes / 10) * 1000 })
})

test('one that is between two frames is shown as it is, and so is a slow one, and what is no transfer', () => {
  expect(slowedBy(SENDING, 30)).toBe(SENDING)
  const slow = { ...SENDING, bytesPerSecond: 100_000 }
  expect(slowedBy(slow, 10_000)).toBe(slow)
  const unknown = slowedBy({ ...SENDING, remainingMs: undefined }, 10_000)
  expect(unknown).toMatchObject({ remainingMs: undefined })
  expect(slowedBy({ doing: 'comparing' }, 10_000)).toEqual({ doing: 'comparing' })
})
