import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TimeZone } from '@filesync/protocol'
import { formatWindow, openingAt, parseWindow } from '../src/schedule/windows.ts'
import type { DailyWindow } from '../src/schedule/windows.ts'

const HOUR_MS = 3_600_000

/** The time zone of Berlin, independent of the system: clocks go forward on 29 March 2026 and back on 25 October 2026, at 01:00 UTC. */
const SUMMER = [Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 9, 25, 1)] as const
const offsetMs = (utcMs: number): number => utcMs >= SUMMER[0] && utcMs < SUMMER[1] ? 2 * HOUR_MS : HOUR_MS
const berlin: TimeZone = {
  toWallMs: utcMs => utcMs + offsetMs(utcMs),
  // As Date does: the first of two moments with the same local time, and after the gap for a local time that is skipped.
  toUtcMs: wallMs => {
    const summerMs = wallMs - 2 * HOUR_MS
    return summerMs >= SUMMER[0] && summerMs < SUMMER[1] ? summerMs : wallMs - HOUR_MS
  },
}

const at = (text: string): number => Date.parse(text)
const span = (windows: readonly string[], now: string): string => {
  const { opensMs, closesMs } = openingAt(windows.map(parseWindow), at(now), berlin)
  return `${new Date(opensMs).toISOString().slice(5, 16)} ${new Date(closesMs).toISOString().slice(5, 16)}`
}

describe('a window', () => {
  test.each(['22:00-06:00', '00:00-24:00', '09:30-17:05'])('%s is parsed, and formatted the same', text => {
    expect(formatWindow(parseWindow(text))).toBe(text)
  })
  test('can end at midnight in both notations', () => {
    expect(parseWindow('22:00-00:00')).toEqual(parseWindow('22:00-24:00'))
  })
  const invalid = ['', '22-06', '22:00', '24:00-06:00', '22:60-23:00', '22:00-24:01', '22:00-06:00-07:00', 'night']
  test.each(invalid)('%j is rejected', text => {
    expect(() => parseWindow(text)).toThrow(/not a window/u)
  })
  test('is rejected if it ends when it begins, because that is ambiguous', () => {
    expect(() => parseWindow('06:00-06:00')).toThrow(/whole day/u)
  })
})

describe('the opening', () => {
  test.each([
    ['before it', '2026-11-22T12:00Z', '11-22T21:00 11-23T05:00'],
    ['at its first moment', '2026-11-22T21:00Z', '11-22T21:00 11-23T05:00'],
    ['after midnight', '2026-11-23T01:00Z', '11-22T21:00 11-23T05:00'],
    ['at its last moment', '2026-11-23T04:59:59.999Z', '11-22T21:00 11-23T05:00'],
    ['after it', '2026-11-23T05:00Z', '11-23T21:00 11-24T05:00'],
  ])('across midnight is found %s', (_, now, expected) => { expect(span(['22:00-06:00'], now)).toBe(expected) })

  test('is an hour shorter in the night when clocks go forward, and an hour longer when they go back', () => {
    expect(span(['22:00-06:00'], '2026-03-28T22:00Z')).toBe('03-28T21:00 03-29T04:00')
    expect(span(['22:00-06:00'], '2026-10-24T21:00Z')).toBe('10-24T20:00 10-25T05:00')
  })

  test('in a skipped hour comes after it, and in a repeated hour comes once', () => {
    expect(span(['02:15-02:45'], '2026-03-28T22:00Z')).toBe('03-29T01:15 03-29T01:45')
    expect(span(['02:00-03:00'], '2026-03-28T22:00Z')).toBe('03-29T01:00 03-29T02:00')
    expect(span(['02:30-03:00'], '2026-03-28T22:00Z')).toBe('03-29T01:30 03-29T02:00')
    expect(span(['02:00-03:00'], '2026-10-24T22:00Z')).toBe('10-25T00:00 10-25T02:00')
    expect(span(['02:15-02:45'], '2026-10-24T22:00Z')).toBe('10-25T00:15 10-25T00:45')
    expect(span(['02:15-02:45'], '2026-10-25T00:50Z')).toBe('10-26T01:15 10-26T01:45')
  })

  test('of windows that touch or overlap is a single one', () => {
    expect(span(['20:00-24:00', '00:00-04:00', '03:00-05:00'], '2026-11-22T21:30Z')).toBe('11-22T19:00 11-23T04:00')
  })

  test('is the next of several', () => {
    expect(span(['22:00-06:00', '12:00-13:00'], '2026-11-22T08:00Z')).toBe('11-22T11:00 11-22T12:00')
    expect(span(['22:00-06:00', '12:00-13:00'], '2026-11-22T12:00Z')).toBe('11-22T21:00 11-23T05:00')
  })
})

test('the opening contains the moment or is the next one, at most a day and an hour away', () => {
  const window: fc.Arbitrary<DailyWindow> = fc.record({ fromMinute: fc.nat(1439), toMinute: fc.integer({ min: 1, max: 1440 }) })
    .filter(({ fromMinute, toMinute }) => fromMinute !== toMinute)
  const moment = fc.integer({ min: at('2026-01-01'), max: at('2026-12-31') })
  const isOpen = (windows: readonly DailyWindow[], nowMs: number): boolean => {
    const minute = Math.floor(berlin.toWallMs(nowMs) / 60_000) % 1440
    return windows.some(({ fromMinute, toMinute }) => fromMinute < toMinute
      ? minute >= fromMinute && minute < toMinute
      : minute >= fromMinute || minute < toMinute)
  }
  fc.assert(fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), moment, (windows, nowMs) => {
    const { opensMs, closesMs } = openingAt(windows, nowMs, berlin)
    expect(closesMs).toBeGreaterThan(nowMs)
    expect(opensMs - nowMs).toBeLessThanOrEqual(25 * HOUR_MS)
    // Within a day of a clock change, local time is not enough to decide.
    if (SUMMER.every(change => Math.abs(change - nowMs) > 26 * HOUR_MS)) expect(opensMs <= nowMs).toBe(isOpen(windows, nowMs))
  }))
})
