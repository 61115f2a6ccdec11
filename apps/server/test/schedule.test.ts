import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { nextSyncInMs, Schedule } from '../src/schedule/schedule.ts'
import { parseWindow } from '../src/schedule/windows.ts'
import { UTC } from './support/time.ts'

const HOUR_MS = 3_600_000

interface Scene {
  readonly schedule: Schedule
  readonly clock: ManualClock
}

interface SceneInit {
  readonly intervalMs?: number
  readonly windows?: readonly string[]
  readonly random?: number
}

function scene (now: string, { intervalMs = HOUR_MS, windows = ['22:00-06:00'], random = 0 }: SceneInit = {}): Scene {
  const clock = new ManualClock(Date.parse(now))
  return { clock, schedule: new Schedule({ intervalMs, windows: windows.map(parseWindow), zone: UTC, clock, random: () => random }) }
}

test('the next sync is spread over a tenth of the interval to either side', () => {
  expect([0, 0.25, 0.5, 1].map(random => nextSyncInMs(300_000, random))).toEqual([270_000, 285_000, 300_000, 330_000])
})

test('the wait is a whole number of milliseconds, near the interval', () => {
  fc.assert(fc.property(fc.integer({ min: 1000, max: 86_400_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (intervalMs, random) => {
    const waitMs = nextSyncInMs(intervalMs, random)
    expect(Number.isInteger(waitMs)).toBe(true)
    expect(Math.abs(waitMs - intervalMs)).toBeLessThanOrEqual(intervalMs * 0.1 + 1)
  }))
})

describe('the next sync', () => {
  test('is after the interval if that is inside a window', () => {
    expect(scene('2026-11-22T23:00Z', { random: 0.5 }).schedule.nextSyncInMs()).toBe(HOUR_MS)
  })
  test('is in the next window otherwise, spread over its beginning', () => {
    expect([0, 0.5, 1].map(random => scene('2026-11-22T12:00Z', { random }).schedule.nextSyncInMs() / HOUR_MS)).toEqual([10, 10.5, 11])
  })
  test('is in the first half of the window if the interval is longer', () => {
    const { schedule } = scene('2026-11-22T12:00Z', { random: 1, intervalMs: 3 * HOUR_MS, windows: ['22:00-23:00'] })
    expect(schedule.nextSyncInMs()).toBe(10.5 * HOUR_MS)
  })
  test('is in the window of the same evening if the interval ends just after the last one', () => {
    expect(scene('2026-11-22T05:30Z', { random: 0 }).schedule.nextSyncInMs()).toBe(16.5 * HOUR_MS)
  })
})

describe('a client that connects', () => {
  const refusal = ({ schedule }: Scene): FileSyncError | undefined => {
    try {
      schedule.admit()
      return undefined
    } catch (error) {
      return error as FileSyncError
    }
  }
  test('is admitted inside a window, and at any time if there are no windows', () => {
    expect(refusal(scene('2026-11-22T23:00Z'))).toBeUndefined()
    expect(refusal(scene('2026-11-22T12:00Z', { windows: [] }))).toBeUndefined()
  })
  test('learns outside of the windows when to return', () => {
    const refused = refusal(scene('2026-11-22T12:00Z', { windows: ['22:00-06:00', '20:00-21:00'], random: 0.5 }))
    expect(refused).toMatchObject({ code: 'OUTSIDE_WINDOW', retryInMs: 8.25 * HOUR_MS })
    expect(refused?.message).toContain('22:00-06:00, 20:00-21:00')
    expect(refused?.message).toContain('in 8 h')
  })
})

describe('the end of a window', () => {
  function watched (scene: Scene): { reported: FileSyncError[], cancel: () => void } {
    const reported: FileSyncError[] = []
    return { reported, cancel: scene.schedule.onClose(error => { reported.push(error) }) }
  }
  test('is reported once, when it comes', () => {
    const made = scene('2026-11-22T23:00Z')
    const { reported } = watched(made)
    made.clock.advance(7 * HOUR_MS - 1)
    expect(reported).toEqual([])
    made.clock.advance(1)
    expect(reported).toMatchObject([{ code: 'OUTSIDE_WINDOW', retryInMs: 16 * HOUR_MS }])
    expect(made.clock.scheduled).toBe(0)
  })
  test('is noticed after the machine slept past it', () => {
    const made = scene('2026-11-22T23:00Z')
    const { reported } = watched(made)
    made.clock.jump(9 * HOUR_MS)
    made.clock.advance(30_000)
    expect(reported).toHaveLength(1)
  })
  test('never comes if windows cover the whole day, or if there are none', () => {
    for (const windows of [['00:00-24:00'], ['00:00-12:00', '12:00-24:00'], []]) {
      const made = scene('2026-11-22T23:00Z', { windows })
      const { reported, cancel } = watched(made)
      made.clock.advance(80 * HOUR_MS)
      cancel()
      expect([reported, made.clock.scheduled]).toEqual([[], 0])
    }
  })
})
