import { afterAll, expect, test } from 'vitest'
import { createEventLog } from '@filesync/program'
import { parseMoment } from '../src/schedule/moment.ts'

// A zone in which local time is never UTC.
const zone = process.env['TZ']
process.env['TZ'] = 'America/New_York'
afterAll(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone })

const NOW_MS = Date.UTC(2026, 10, 30, 2, 3, 30, 712)

test('every printed format of a time is parsed as the same moment', () => {
  const lines: string[] = []
  createEventLog({ write: line => { lines.push(line) }, json: false, now: () => new Date(NOW_MS).toISOString() })({ event: 'x' }, 'stored')
  const printed = lines[0]?.replace(/ stored\n$/u, '') ?? ''
  expect(printed).toBe('2026-11-30 02:03:30.712Z')
  const zoned = ['2026-11-30T03:03:30.712+01:00', '2026-11-29 20:33:30.712-0530', '2026-11-30 02:03:30.712 UTC']
  for (const text of [printed, new Date(NOW_MS).toISOString(), ...zoned]) expect(parseMoment(text, 0)).toBe(NOW_MS)
})

test('a time without a zone is local, also at midnight and without a time of day', () => {
  expect(parseMoment('2026-11-30 02:03:30.712', 0)).toBe(new Date(2026, 10, 30, 2, 3, 30, 712).getTime())
  expect(parseMoment('2026-11-30T02:03', 0)).toBe(new Date(2026, 10, 30, 2, 3).getTime())
  expect(parseMoment('2026-11-30', 0)).toBe(new Date(2026, 10, 30).getTime())
})

test('a duration means that long ago', () => {
  expect(parseMoment('2h', NOW_MS)).toBe(NOW_MS - 7_200_000)
  expect(parseMoment('0s', NOW_MS)).toBe(NOW_MS)
})

const INVALID = ['2026-02-30', '2026-13-01', '2026-11-30 24:01', '2026-11-30 02:60', '2026-11-30 02:03:30 EST', '2026-11-30x', 'soon', '']

test.each(INVALID)('rejects %j', text => {
  expect(() => parseMoment(text, NOW_MS)).toThrow(/not a valid time/u)
})
