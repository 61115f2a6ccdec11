import { expect, test } from 'vitest'
import {
  COMMON_TIMES, storableTime, isStorableEverywhere, isSameTime, isTimeAsSet, probeTimeRange, TOUCH_GRAIN_NS,
} from '../src/store/file-time.ts'
import type { TimeRange } from '../src/store/file-time.ts'

test('a time on the disk is the one that was set if they agree to the granularity of a file system', () => {
  const givenNs = 1_700_000_000_123_456_789n
  for (const foundNs of [
    givenNs, givenNs - 400n, givenNs - givenNs % 10_000_000n, givenNs - givenNs % 1_000_000_000n, givenNs - givenNs % 2_000_000_000n,
  ]) {
    expect(isTimeAsSet(givenNs, foundNs), String(foundNs)).toBe(true)
  }
  for (const foundNs of [givenNs + 5_000n, givenNs - 20_000_000n, givenNs - givenNs % 1_000_000_000n - 3_000_000_000n]) {
    expect(isTimeAsSet(givenNs, foundNs), String(foundNs)).toBe(false)
  }
})

test('two times are the same if they differ by less than a grain', () => {
  const timeNs = 1_700_000_000_123_456_789n
  for (const grainNs of [TOUCH_GRAIN_NS, 2_000_000_000n]) {
    for (const apartNs of [0n, 1n, grainNs - 1n]) {
      expect([isSameTime(timeNs, timeNs + apartNs, grainNs), isSameTime(timeNs, timeNs - apartNs, grainNs)]).toEqual([true, true])
    }
    for (const apartNs of [grainNs, grainNs + 1n]) {
      expect([isSameTime(timeNs, timeNs + apartNs, grainNs), isSameTime(timeNs, timeNs - apartNs, grainNs)]).toEqual([false, false])
    }
  }
})

test('every file system holds the times that fit into 31 bits of seconds', () => {
  expect([0n, 2_147_483_647_000_000_000n].map(isStorableEverywhere)).toEqual([true, true])
  expect([-1n, 2_147_483_647_000_000_001n].map(isStorableEverywhere)).toEqual([false, false])
})

const S = 1_000_000_000n
const EXT4_SMALL_INODES: TimeRange = { earliestNs: -(2n ** 31n) * S, latestNs: (2n ** 31n - 1n) * S, outside: 'nearest' }
const SECONDS_OF_32_BITS: TimeRange = { ...COMMON_TIMES, outside: '32 bits' }
const ranges: readonly [what: string, times: TimeRange, give: (timeNs: bigint) => bigint][] = [
  ['holds them all', { earliestNs: -9_223_372_036n * S, latestNs: 9_223_372_036n * S, outside: 'nearest' }, timeNs => timeNs],
  [
    'holds them all to the second',
    { earliestNs: -9_223_372_036n * S, latestNs: 9_223_372_036n * S, outside: 'nearest' },
    timeNs => timeNs - timeNs % S,
  ],
  ['uses the nearest of 32 bits of seconds', EXT4_SMALL_INODES, timeNs => storableTime(timeNs, EXT4_SMALL_INODES)],
  ['keeps the low 32 bits', SECONDS_OF_32_BITS, timeNs => storableTime(timeNs, SECONDS_OF_32_BITS)],
]

test.each(ranges)('the times that a file system can hold are measured, and recognized afterwards, if it %s', (_, times, give) => {
  expect(probeTimeRange(give)).toEqual(times)
  // 1677, 1901, 2040, 2150 and 2262.
  for (const seconds of [-9_223_372_036n, -2_147_483_649n, 0n, 1_700_000_000n, 2_208_988_800n, 5_680_281_600n, 9_223_372_036n]) {
    const givenNs = seconds * S + 123_456_000n
    expect(isTimeAsSet(givenNs, give(givenNs), times), String(seconds)).toBe(true)
    expect(isTimeAsSet(givenNs, give(givenNs) + 60n * S, times), String(seconds)).toBe(false)
  }
})
