import { afterAll, expect, test } from 'vitest'
import { createEventLog } from '@filesync/program'
import { parseMoment } from '../src/schedule/moment.ts'

// In this zone, local time is never that of UTC.
const zone = process.env['TZ']
process.env['TZ'] = 'America/New_York'
afterAll(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone })

const NOW_MS = Date.UTC(2026, 10, 30, 2, 3, 30, 712)

test('every form in which a time is printed means the same moment when it is given back', () => {
  const lines: string[] = []
  createEventLog({ write: line => { lines.push(line) }, json: false, now: () => new Date(NOW_MS).toISOString() })({ event: 'x' }, 'stored')
  const printed = lines[0]?.replace(/ stored\n$/u, '') ?? ''
  expect(printed).toBe('2026-11-30 02:03:30.712Z')
  for (const text of [printed, new Date(NOW_MS).toISOString(), '2026-11-30T03:03:30.712+01:00', '2026-11-29 20:33:30.712-0530', '2026-11-30 02:03:30.712 UTC']) expect(parseMoment(text, 0)).toBe(NOW_MS)
})

test('without a zone a time is local, also at midnight and without the time of day', () => {
  expect(parseMoment('2026-11-30 02:03:30.712', 0)).toBe(new Date(2026, 10, 30, 2, 3, 30, 712).getTime())
  expect(parseMoment('2026-11-30T02:03', 0)).toBe(new Date(2026, 10, 30, 2, 3).getTime())
  expect(parseMoment('2026-11-30', 0)).toBe(new Date(2026, 10, 30).getTime())
})

test('a duration is so long ago', () => {
  expect(parseMoment('2h', NOW_MS)).toBe(NOW_MS - 7_200_000)
  expect(parseMoment('0s', NOW_MS)).toBe(NOW_MS)
})

test.each(['2026-02-30', '2026-13-01', '2026-11-30 24:01', '2026-11-30 02:60', '2026-11-30 02:03:30 EST', '2026-11-30x', 'soon', ''])('%j is no moment', text => {
  expect(() => parseMoment(text, NOW_MS)).toThrow(/not a valid time/u)
})
