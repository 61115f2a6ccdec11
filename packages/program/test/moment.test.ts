import { afterEach, expect, test } from 'vitest'
import { seededRandom } from '@filesync/protocol/testing'
import { createEventLog } from '../src/index.ts'
import { formatMoment, parseMoment } from '../src/node/index.ts'
import type { ParsedMoment } from '../src/node/index.ts'

const zone = process.env['TZ']
afterEach(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone })

const SEED = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
const NOW_MS = Date.UTC(2026, 10, 30, 2, 3, 30, 712)
// Of half hours and three quarters, ahead of UTC by more than half a day, with a clock change of half an hour, and one that skipped a day.
const ZONES = [
  'UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'Australia/Lord_Howe', 'Pacific/Apia',
  'America/St_Johns',
]

function inZone<T> (name: string, work: () => T): T {
  process.env['TZ'] = name
  return work()
}

function parse (text: string, nowMs = NOW_MS): ParsedMoment {
  return parseMoment(text, { nowMs })
}

test.each(ZONES)('what is printed in %s is parsed as the same moment, there and elsewhere', name => {
  const next = seededRandom(SEED).below
  for (let i = 0; i < 500; i++) {
    const ms = Date.UTC(1970, 0, 1) + next(100 * 366) * 86_400_000 + next(86_400_000)
    const printed = inZone(name, () => formatMoment(ms))
    expect(printed).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/u)
    for (const reader of [name, 'Asia/Tokyo']) {
      expect(inZone(reader, () => parse(printed)), `${printed}, FILESYNC_SEED=${String(SEED)}`).toEqual({ ms })
    }
  }
})

test.each(ZONES)('a local time in %s is the moment that is printed so, or is refused if there is none or two', name => {
  process.env['TZ'] = name
  const next = seededRandom(SEED).below
  for (let i = 0; i < 500; i++) {
    const ms = Date.UTC(1990, 0, 1) + next(40 * 366) * 86_400_000 + next(86_400_000)
    const local = formatMoment(ms).slice(0, -6)
    const before = formatMoment(ms - 7_200_000).slice(-6)
    const isNearChange = before !== formatMoment(ms + 7_200_000).slice(-6)
    if (isNearChange) continue
    expect(parse(local), `${local}, FILESYNC_SEED=${String(SEED)}`).toEqual({ ms })
    expect(parse(local.replace('T', ' '))).toEqual({ ms })
  }
})

test('a local time that a change of the clock skipped or repeated is refused with both times that may be meant', () => {
  process.env['TZ'] = 'Europe/Berlin'
  const twice = 'The local time "2026-10-25 02:30" happened twice here: the clock was set back. Write the time with its zone: ' +
    '2026-10-25T02:30:00.000+02:00 or 2026-10-25T02:30:00.000+01:00.'
  expect(() => parse('2026-10-25 02:30')).toThrow(twice)
  expect(parse('2026-10-25T02:30:00.000+02:00')).toEqual({ ms: Date.UTC(2026, 9, 25, 0, 30) })
  expect(parse('2026-10-25T02:30:00.000+01:00')).toEqual({ ms: Date.UTC(2026, 9, 25, 1, 30) })
  expect(() => parse('2026-03-29 02:30')).toThrow(/"2026-03-29 02:30" did not exist here: the clock was set forward/u)
  expect(parse('2026-03-29 03:00')).toEqual({ ms: Date.UTC(2026, 2, 29, 1) })
  expect(parse('2026-10-25 01:59')).toEqual({ ms: Date.UTC(2026, 9, 24, 23, 59) })
  expect(parse('2026-10-25 03:00')).toEqual({ ms: Date.UTC(2026, 9, 25, 2) })
})

test('every format in which a program prints a time is parsed as the same moment', () => {
  process.env['TZ'] = 'America/New_York'
  const lines: string[] = []
  createEventLog({ write: line => { lines.push(line) }, json: false, now: () => new Date(NOW_MS).toISOString() })({ event: 'x' }, 'stored')
  const printed = lines[0]?.replace(/ stored\n$/u, '') ?? ''
  expect(printed).toBe('2026-11-30 02:03:30.712Z')
  const zoned = ['2026-11-30T03:03:30.712+01:00', '2026-11-29 20:33:30.712-0530', '2026-11-30 02:03:30.712 UTC', formatMoment(NOW_MS)]
  for (const text of [printed, new Date(NOW_MS).toISOString(), ...zoned]) expect(parse(text, 0)).toEqual({ ms: NOW_MS })
})

test('a time without a zone is local, also at midnight and without a time of day', () => {
  process.env['TZ'] = 'America/New_York'
  expect(parse('2026-11-30 02:03:30.712')).toEqual({ ms: new Date(2026, 10, 30, 2, 3, 30, 712).getTime() })
  expect(parse('2026-11-30T02:03')).toEqual({ ms: new Date(2026, 10, 30, 2, 3).getTime() })
  expect(parse('2026-11-30')).toEqual({ ms: new Date(2026, 10, 30).getTime() })
})

test('a day is that of local time, also on the day after a change of the clock', () => {
  process.env['TZ'] = 'Europe/Berlin'
  const nowMs = new Date(2026, 9, 26, 9).getTime()
  expect(parse('today 9:30', nowMs)).toEqual({ ms: new Date(2026, 9, 26, 9, 30).getTime() })
  expect(parse('Yesterday 14:00', nowMs)).toEqual({ ms: new Date(2026, 9, 25, 14).getTime() })
  expect(parse('yesterday', nowMs)).toEqual({ ms: new Date(2026, 9, 25).getTime() })
  // 1 January in Berlin, still 31 December in UTC.
  expect(parse('yesterday 08:00', new Date(2027, 0, 1, 0, 30).getTime())).toEqual({ ms: new Date(2026, 11, 31, 8).getTime() })
})

test('a duration means that long ago, and a point stays its id', () => {
  expect(parse('2h')).toEqual({ ms: NOW_MS - 7_200_000 })
  expect(parse('3d ago')).toEqual({ ms: NOW_MS - 3 * 86_400_000 })
  expect(parse('0s')).toEqual({ ms: NOW_MS })
  expect(parse(' p17 ')).toEqual({ point: 'p17' })
})

const INVALID = [
  '2026-02-30', '2026-13-01', '2026-11-30 24:01', '2026-11-30 02:60', '2026-11-30 02:03:30 EST', '2026-11-30x', 'soon', '', 'p0', 'p', '17',
  'tomorrow', 'yesterday 25:00',
]

test.each(INVALID)('rejects %j', text => {
  expect(() => parse(text)).toThrow(/not a valid time/u)
})

test('a time that no date can hold is printed as unknown', () => {
  for (const ms of [NaN, Infinity, -9e15]) expect(formatMoment(ms)).toBe('unknown time')
})
