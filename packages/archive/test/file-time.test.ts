import { expect, test } from 'vitest'
import { isHeldByAll, isSameTime, isTimeGiven, TOUCH_GRAIN_NS } from '../src/file-time.ts'

test('a time on the disk is the one that was given, or the grain it fell into', () => {
  const givenNs = 1_700_000_000_123_456_789n
  for (const foundNs of [givenNs, givenNs - 400n, givenNs - givenNs % 10_000_000n, givenNs - givenNs % 1_000_000_000n, givenNs - givenNs % 2_000_000_000n]) {
    expect(isTimeGiven(givenNs, foundNs), String(foundNs)).toBe(true)
  }
  for (const foundNs of [givenNs + 5_000n, givenNs - 20_000_000n, givenNs - givenNs % 1_000_000_000n - 3_000_000_000n]) {
    expect(isTimeGiven(givenNs, foundNs), String(foundNs)).toBe(false)
  }
})

test('two times are the same within a grain, which is never reached', () => {
  const timeNs = 1_700_000_000_123_456_789n
  for (const grainNs of [TOUCH_GRAIN_NS, 2_000_000_000n]) {
    for (const apartNs of [0n, 1n, grainNs - 1n]) expect([isSameTime(timeNs, timeNs + apartNs, grainNs), isSameTime(timeNs, timeNs - apartNs, grainNs)]).toEqual([true, true])
    for (const apartNs of [grainNs, grainNs + 1n]) expect([isSameTime(timeNs, timeNs + apartNs, grainNs), isSameTime(timeNs, timeNs - apartNs, grainNs)]).toEqual([false, false])
  }
})

test('every file system holds the times that fit into 31 bits of seconds', () => {
  expect([0n, 2_147_483_647_000_000_000n].map(isHeldByAll)).toEqual([true, true])
  expect([-1n, 2_147_483_647_000_000_001n].map(isHeldByAll)).toEqual([false, false])
})
