import { FileSyncError } from '@filesync/protocol'
import type { TimeZone } from '@filesync/protocol'

/** A span of the day in minutes since local midnight; if it ends before it begins, it extends past midnight. */
export interface DailyWindow {
  /** 0 to 1439. */
  readonly fromMinute: number
  /** 1 to 1440. */
  readonly toMinute: number
}

/** Two moments, in milliseconds since the Unix epoch. */
export interface Opening {
  readonly opensMs: number
  readonly closesMs: number
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const DAY_MINUTES = 1440
/** A window opens within a day. Openings that touch are joined; a caller that needs the end of a longer one asks again later. */
const DAYS_AHEAD = 2

/** Parses `22:00-06:00`, with 24:00 for the end of a day. Throws USAGE. */
export function parseWindow (text: string): DailyWindow {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/u.exec(text.trim())
  const [fromHour, fromMinute, toHour, toMinute] = (match ?? []).slice(1).map(Number) as [number, number, number, number]
  const window = { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute }
  const isTime = match !== null && fromMinute < 60 && toMinute < 60 && window.fromMinute < DAY_MINUTES && window.toMinute <= DAY_MINUTES
  if (!isTime) throw new FileSyncError('USAGE', `"${text}" is not a window. Give its first and last time of day, such as 22:00-06:00.`)
  // It could mean no time at all or the whole day, which has a notation of its own.
  if (window.fromMinute === window.toMinute) {
    throw new FileSyncError('USAGE', `The window "${text}" ends when it begins. For the whole day use 00:00-24:00, or leave --window out.`)
  }
  return { ...window, toMinute: window.toMinute === 0 ? DAY_MINUTES : window.toMinute }
}

/** The inverse of {@link parseWindow}. */
export function formatWindow ({ fromMinute, toMinute }: DailyWindow): string {
  return `${timeOfDay(fromMinute)}-${timeOfDay(toMinute)}`
}

/**
 * The opening that contains `nowMs`, or else the next one. Windows are in local time, so one that spans a change to or from
 * daylight saving time is an hour shorter or longer; none is skipped or doubled.
 */
export function openingAt (windows: readonly DailyWindow[], nowMs: number, zone: TimeZone): Opening {
  const today = Math.floor(zone.toWallMs(nowMs) / DAY_MS)
  const openings = windows
    .flatMap(window => Array.from({ length: DAYS_AHEAD + 2 }, (_, i) => openingOf(window, today - 1 + i, zone)))
    .filter(({ opensMs, closesMs }) => closesMs > Math.max(opensMs, nowMs))
    .sort((left, right) => left.opensMs - right.opensMs)
  let found: Opening | undefined
  for (const opening of openings) {
    if (found === undefined) found = opening
    else if (opening.opensMs > found.closesMs) break
    else if (opening.closesMs > found.closesMs) found = { ...found, closesMs: opening.closesMs }
  }
  if (found === undefined) throw new FileSyncError('INTERNAL', 'No window opens within two days.')
  return found
}

function openingOf ({ fromMinute, toMinute }: DailyWindow, day: number, zone: TimeZone): Opening {
  const lastDay = toMinute <= fromMinute ? day + 1 : day
  const fromMs = day * DAY_MS + fromMinute * MINUTE_MS
  const toMs = lastDay * DAY_MS + toMinute * MINUTE_MS
  const opensMs = zone.toUtcMs(fromMs)
  const closesMs = zone.toUtcMs(toMs)
  // A window whose beginning is skipped by daylight saving time could end before it begins; it then gets its usual length.
  return { opensMs, closesMs: closesMs > opensMs ? closesMs : opensMs + toMs - fromMs }
}

function timeOfDay (minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}
