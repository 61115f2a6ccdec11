import { expect, test } from 'vitest'
import { expectationOf, usualGapMs, withGap } from '../src/status/expectation.ts'
import type { SyncGap } from '../src/status/expectation.ts'
import type { SyncRecord } from '../src/status/sync-history.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MONDAY_MS = Date.UTC(2026, 10, 2)

/** The gaps after complete syncs at these times. */
function gapsOf (timesMs: readonly number[]): readonly SyncGap[] {
  let gaps: readonly SyncGap[] = []
  timesMs.forEach((endedAtMs, at) => { gaps = withGap(gaps, { beforeMs: timesMs[at - 1], endedAtMs }) })
  return gaps
}

/** Every ten minutes from 9 to 17 on workdays, for some weeks. */
const office = (weeks: number): number[] => Array.from({ length: weeks * 7 }, (_, day) => day).filter(day => day % 7 < 5)
  .flatMap(day => Array.from({ length: 49 }, (_, n) => MONDAY_MS + day * DAY_MS + 9 * HOUR_MS + n * 600_000))

const record = (completeAtMs: number, gaps: readonly SyncGap[]): SyncRecord => (
  { client: 'c', endedAtMs: completeAtMs, result: 'OK', problemCount: 0, problems: [], completeAtMs, gaps }
)

test('a machine that is off at weekends is not late on a Monday morning, and is on a Tuesday', () => {
  const times = office(3)
  const last = times.at(-1) ?? 0
  const gaps = gapsOf(times)
  expect(gaps.length).toBeLessThanOrEqual(28)
  expect(usualGapMs(gaps, last)).toBe(64 * HOUR_MS)
  const { dueAtMs } = expectationOf({ addedAtMs: 0 }, record(last, gaps), last)
  expect(dueAtMs).toBe(last + (64 + 24) * HOUR_MS)
})

test('one holiday does not become the rhythm, and what is long ago is forgotten', () => {
  const before = office(1)
  const after = before.map(ms => ms + 21 * DAY_MS)
  const gaps = gapsOf([...before, ...after])
  expect(usualGapMs(gaps, after.at(-1) ?? 0)).toBe(16 * HOUR_MS)
  expect(usualGapMs(gaps, (after.at(-1) ?? 0) + 28 * DAY_MS)).toBe(0)
})

test('a machine that watches its files has a rhythm of nothing, and is late after a day', () => {
  const times = Array.from({ length: 1000 }, (_, n) => MONDAY_MS + n * 1000)
  expect(gapsOf(times)).toEqual([])
  expect(expectationOf({ addedAtMs: 0 }, record(times[999] ?? 0, []), MONDAY_MS).dueAtMs).toBe((times[999] ?? 0) + DAY_MS)
})

test('what the operator says counts, and a paused or revoked machine is never late', () => {
  const last = record(MONDAY_MS, [{ endedAtMs: MONDAY_MS, ms: 99 * HOUR_MS }])
  expect(expectationOf({ addedAtMs: 0, expectMs: HOUR_MS }, last, MONDAY_MS).dueAtMs).toBe(MONDAY_MS + HOUR_MS)
  expect(expectationOf({ addedAtMs: 0, expectMs: 'never' }, last, MONDAY_MS).dueAtMs).toBeUndefined()
  expect(expectationOf({ addedAtMs: 0, expectMs: HOUR_MS, pausedAtMs: 1 }, last, MONDAY_MS).dueAtMs).toBeUndefined()
  expect(expectationOf({ addedAtMs: 0, revokedAtMs: 1 }, last, MONDAY_MS).dueAtMs).toBeUndefined()
})

test('a machine that was paired and never completed a sync is late a day later', () => {
  expect(expectationOf({ addedAtMs: MONDAY_MS }, undefined, MONDAY_MS).dueAtMs).toBe(MONDAY_MS + DAY_MS)
})
