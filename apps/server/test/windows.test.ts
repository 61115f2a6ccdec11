import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TimeZone } from '@filesync/protocol'
import { formatWindow, openingAt, parseWindow } from '../src/schedule/windows.ts'
import type { DailyWindow } from '../src/schedule/windows.ts'

const HOUR_MS = 3_600_000

/** Berlin's clocks, without the system's: at 01:00 UTC they go forward on 29 March 2026 and back on 25 October 2026. */
const SUMMER = [Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 9, 25, 1)] as const
const offsetMs = (utcMs: number): number => utcMs >= SUMMER[0] && utcMs < SUMMER[1] ? 2 * HOUR_MS : HOUR_MS
const berlin: TimeZone = {
  toWallMs: utcMs => utcMs + offsetMs(utcMs),
  // As Date does: the first of two moments that the clock shows twice, and past the hour that it leaves out.
  toUtcMs: wallMs => wallMs - 2 * HOUR_MS < SUMMER[0] ? wallMs - HOUR_MS : wallMs - 2 * HOUR_MS < SUMMER[1] ? wallMs - 2 * HOUR_MS : wallMs - HOUR_MS,
}

const at = (text: string): number => Date.parse(text)
const span = (windows: readonly string[], now: string): string => {
  const { opensMs, closesMs } = openingAt(windows.map(parseWindow), at(now), berlin)
  return `${new Date(opensMs).toISOString().slice(5, 16)} ${new Date(closesMs).toISOString().slice(5, 16)}`
}

describe('a window', () => {
  test.each(['22:00-06:00', '00:00-24:00', '09:30-17:05'])('%s is read, and printed as it was', text => { expect(formatWindow(parseWindow(text))).toBe(text) })
  test('may end at midnight, either way it is written', () => { expect(parseWindow('22:00-00:00')).toEqual(parseWindow('22:00-24:00')) })
  test.each(['', '22-06', '22:00', '24:00-06:00', '22:60-23:00', '22:00-24:01', '22:00-06:00-07:00', 'night'])('%j is refused', text => { expect(() => parseWindow(text)).toThrow(/not a window/u) })
  test('that begins when it ends is refused, because it could mean either', () => { expect(() => parseWindow('06:00-06:00')).toThrow(/whole day/u) })
})

describe('the opening', () => {
  test.each([
    ['before', '2026-11-22T12:00Z', '11-22T21:00 11-23T05:00'],
    ['at its first moment', '2026-11-22T21:00Z', '11-22T21:00 11-23T05:00'],
    ['past midnight', '2026-11-23T01:00Z', '11-22T21:00 11-23T05:00'],
    ['at its last moment', '2026-11-23T04:59:59.999Z', '11-22T21:00 11-23T05:00'],
    ['behind', '2026-11-23T05:00Z', '11-23T21:00 11-24T05:00'],
  ])('over midnight, looked at %s', (_, now, expected) => { expect(span(['22:00-06:00'], now)).toBe(expected) })

  test('in the night in which clocks go forward is an hour shorter, and in the other an hour longer', () => {
    expect(span(['22:00-06:00'], '2026-03-28T22:00Z')).toBe('03-28T21:00 03-29T04:00')
    expect(span(['22:00-06:00'], '2026-10-24T21:00Z')).toBe('10-24T20:00 10-25T05:00')
  })

  test('that falls into the hour that is left out comes behind it, and one in the hour that comes twice comes once', () => {
    expect(span(['02:15-02:45'], '2026-03-28T22:00Z')).toBe('03-29T01:15 03-29T01:45')
    expect(span(['02:00-03:00'], '2026-03-28T22:00Z')).toBe('03-29T01:00 03-29T02:00')
    expect(span(['02:30-03:00'], '2026-03-28T22:00Z')).toBe('03-29T01:30 03-29T02:00')
    expect(span(['02:00-03:00'], '2026-10-24T22:00Z')).toBe('10-25T00:00 10-25T02:00')
    expect(span(['02:15-02:45'], '2026-10-24T22:00Z')).toBe('10-25T00:15 10-25T00:45')
    expect(span(['02:15-02:45'], '2026-10-25T00:50Z')).toBe('10-26T01:15 10-26T01:45')
  })

  test('of windows that touch or overlap is one', () => {
    expect(span(['20:00-24:00', '00:00-04:00', '03:00-05:00'], '2026-11-22T21:30Z')).toBe('11-22T19:00 11-23T04:00')
  })

  test('is the next of several', () => {
    expect(span(['22:00-06:00', '12:00-13:00'], '2026-11-22T08:00Z')).toBe('11-22T11:00 11-22T12:00')
    expect(span(['22:00-06:00', '12:00-13:00'], '2026-11-22T12:00Z')).toBe('11-22T21:00 11-23T05:00')
  })
})

test('the opening holds the moment, or is the first behind it, and nobody waits for more than a day and an hour', () => {
  const window: fc.Arbitrary<DailyWindow> = fc.record({ fromMinute: fc.nat(1439), toMinute: fc.integer({ min: 1, max: 1440 }) }).filter(({ fromMinute, toMinute }) => fromMinute !== toMinute)
  const moment = fc.integer({ min: at('2026-01-01'), max: at('2026-12-31') })
  const isOpen = (windows: readonly DailyWindow[], nowMs: number): boolean => {
    const minute = Math.floor(berlin.toWallMs(nowMs) / 60_000) % 1440
    return windows.some(({ fromMinute, toMinute }) => fromMinute < toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute)
  }
  fc.assert(fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), moment, (windows, nowMs) => {
    const { opensMs, closesMs } = openingAt(windows, nowMs, berlin)
    expect(closesMs).toBeGreaterThan(nowMs)
    expect(opensMs - nowMs).toBeLessThanOrEqual(25 * HOUR_MS)
    // Within a day of a change of clocks, what the wall shows is not enough to tell.
    if (SUMMER.every(change => Math.abs(change - nowMs) > 26 * HOUR_MS)) expect(opensMs <= nowMs).toBe(isOpen(windows, nowMs))
  }))
})
