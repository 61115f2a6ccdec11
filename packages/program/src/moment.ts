import { civilFromDays, daysFromCivil, FileSyncError } from '@filesync/protocol'
import { parseDuration } from './units.ts'

/** A moment of an archive's history: the id of a point, or a time in milliseconds since the Unix epoch. */
export type ParsedMoment = { readonly point: string } | { readonly ms: number }

const DAY_MS = 86_400_000
const DATE = String.raw`(?<year>\d{4,6})-(?<month>\d\d)-(?<day>\d\d)`
const TIME = String.raw`(?<hour>\d\d?):(?<minute>\d\d)(?::(?<second>\d\d)(?:\.(?<fraction>\d{1,9}))?)?`
const ZONE = String.raw`(?<zone>Z|UTC|[+-]\d\d:?\d\d(?::\d\d)?)`
const WITH_DATE = new RegExp(`^${DATE}(?:[T ]${TIME})?\\s?${ZONE}?$`, 'iu')
const WITH_DAY = new RegExp(`^(?<word>today|yesterday)(?:[T ]\\s*${TIME})?$`, 'iu')
const POINT = /^p[1-9]\d*$/u
const EXAMPLES = 'p17 (a point that "history" lists), 2h or 3d (ago), "yesterday 14:00", "2026-11-22 10:30" (local time), ' +
  '2026-11-22T10:30:00+01:00'

/** The largest time that a date can hold. */
const MAX_MS = 8.64e15

/** What local time is ahead of UTC at a moment, both in milliseconds. */
export type OffsetAt = (ms: number) => number

/** A date and a time of day, without a zone. */
interface CivilTime {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly ofDayMs: number
}

/** See `parseMoment` of `@filesync/program/node`, which knows the zone of this machine. */
export function parseMomentIn (offsetAt: OffsetAt, text: string, { nowMs }: { readonly nowMs: number }): ParsedMoment {
  const trimmed = text.trim()
  if (POINT.test(trimmed)) return { point: trimmed }
  const ago = /^\d[\d.]*(?:ms|[smhdw])/iu.test(trimmed) ? trimmed.replace(/\s+ago$/iu, '') : undefined
  if (ago !== undefined) return { ms: nowMs - parseDuration(ago) }
  const [day, date] = [WITH_DAY.exec(trimmed)?.groups, WITH_DATE.exec(trimmed)?.groups]
  const civil = day !== undefined ? civilOfDay(day, nowMs + offsetAt(nowMs)) : date !== undefined ? civilOfDate(date) : undefined
  if (civil === undefined) throw new FileSyncError('USAGE', `"${text}" is not a valid time. Examples: ${EXAMPLES}.`)
  const zone = date?.['zone']
  return { ms: zone === undefined ? fromLocal(offsetAt, civil, text) : utcOf(civil) - parseOffset(zone) }
}

/** See `formatMoment` of `@filesync/program/node`. */
export function formatMomentIn (offsetAt: OffsetAt, ms: number): string {
  const whole = Math.floor(ms)
  if (!(Math.abs(whole) <= MAX_MS)) return 'unknown time'
  const offset = offsetAt(whole)
  const { year, month, day, ofDayMs } = civilOf(whole + offset)
  const second = ofDayMs % 60_000
  const time = `${digits(ofDayMs / 3_600_000)}:${digits(ofDayMs % 3_600_000 / 60_000)}:${digits(second / 1000)}.${digits(second % 1000, 3)}`
  return `${digits(year, 4)}-${digits(month)}-${digits(day)}T${time}${formatOffset(offset)}`
}

function civilOfDay (parts: Readonly<Record<string, string | undefined>>, localNowMs: number): CivilTime | undefined {
  const ofDayMs = timeOfDay(parts)
  const today = civilOf(localNowMs)
  const date = parts['word']?.toLowerCase() === 'today' ? today : civilOf(utcOf({ ...today, ofDayMs: 0 }) - DAY_MS)
  return ofDayMs === undefined ? undefined : { ...date, ofDayMs }
}

function civilOfDate (parts: Readonly<Record<string, string | undefined>>): CivilTime | undefined {
  const [year, month, day] = [Number(parts['year']), Number(parts['month']), Number(parts['day'])]
  const ofDayMs = timeOfDay(parts)
  if (ofDayMs === undefined) return undefined
  const civil = { year, month, day, ofDayMs }
  // Invalid, though Date would carry over into the next month.
  const there = civilOf(utcOf(civil))
  return there.month === month && there.day === day ? civil : undefined
}

/** Midnight if there is no time. */
function timeOfDay (parts: Readonly<Record<string, string | undefined>>): number | undefined {
  const [hour, minute, second] = [Number(parts['hour'] ?? 0), Number(parts['minute'] ?? 0), Number(parts['second'] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const ms = Number((parts['fraction'] ?? '0').slice(0, 3).padEnd(3, '0'))
  return ((hour * 60 + minute) * 60 + second) * 1000 + ms
}

/** The moment of a local time. Throws USAGE if there is none, or more than one. */
function fromLocal (offsetAt: OffsetAt, civil: CivilTime, text: string): number {
  const utcMs = utcOf(civil)
  // Around a change of the clock there is one offset before it and another one after it.
  const offsets = new Set([offsetAt(utcMs - DAY_MS), offsetAt(utcMs + DAY_MS)])
  const found = [...offsets].map(offset => utcMs - offset).filter(ms => offsetAt(ms) === utcMs - ms).sort((a, b) => a - b)
  const [first, second] = found
  if (first !== undefined && second === undefined) return first
  const what = first === undefined
    ? 'did not exist here: the clock was set forward'
    : 'happened twice here: the clock was set back'
  const [before, after] = [...offsets].map(offset => formatMomentIn(offsetAt, utcMs - offset))
  throw new FileSyncError('USAGE', `The local time "${text}" ${what}. Write the time with its zone: ${before ?? ''} or ${after ?? ''}.`)
}

function utcOf ({ ofDayMs, ...date }: CivilTime): number {
  return daysFromCivil(date) * DAY_MS + ofDayMs
}

function civilOf (utcMs: number): CivilTime {
  const days = Math.floor(utcMs / DAY_MS)
  return { ...civilFromDays(days), ofDayMs: utcMs - days * DAY_MS }
}

function parseOffset (zone: string): number {
  const [, sign, hours, minutes, seconds = '0'] = /^([+-])(\d\d):?(\d\d)(?::(\d\d))?$/u.exec(zone) ?? []
  if (sign === undefined) return 0
  return (sign === '-' ? -1 : 1) * ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
}

function formatOffset (offset: number): string {
  const size = Math.abs(offset)
  const seconds = size % 60_000 === 0 ? '' : `:${digits(size % 60_000 / 1000)}`
  return `${offset < 0 ? '-' : '+'}${digits(size / 3_600_000)}:${digits(size % 3_600_000 / 60_000)}${seconds}`
}

function digits (value: number, width = 2): string {
  return String(Math.floor(value)).padStart(width, '0')
}
