import { FileSyncError } from '@filesync/protocol'
import type { TimeZone } from '@filesync/protocol'

/** A span of the day, in minutes since midnight by the clock on the wall; over midnight where it ends before it begins. */
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
/** A window opens within a day, and openings that touch are one: whoever needs its end later asks again then. */
const DAYS_AHEAD = 2

/** `22:00-06:00`, with 24:00 for the end of a day. Throws USAGE. */
export function parseWindow (text: string): DailyWindow {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/u.exec(text.trim())
  const [fromHour, fromMinute, toHour, toMinute] = (match ?? []).slice(1).map(Number) as [number, number, number, number]
  const window = { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute }
  const isTime = match !== null && fromMinute < 60 && toMinute < 60 && window.fromMinute < DAY_MINUTES && window.toMinute <= DAY_MINUTES
  if (!isTime) throw new FileSyncError('USAGE', `"${text}" is not a window. Write the time it opens and the time it closes, such as 22:00-06:00.`)
  // Nothing and a whole day look alike; a whole day can be said.
  if (window.fromMinute === window.toMinute) throw new FileSyncError('USAGE', `The window "${text}" ends when it begins. For the whole day write 00:00-24:00, or leave --window out.`)
  return { ...window, toMinute: window.toMinute === 0 ? DAY_MINUTES : window.toMinute }
}

/** As `parseWindow` reads it. */
export function formatWindow ({ fromMinute, toMinute }: DailyWindow): string {
  return `${timeOfDay(fromMinute)}-${timeOfDay(toMinute)}`
}

/**
 * The opening that `nowMs` lies in, or else the next one. Windows are moments of each day by the clock on the wall, so one over
 * a change to or from daylight saving time is an hour shorter or longer, and none is skipped or doubled.
 */
export function openingAt (windows: readonly DailyWindow[], nowMs: number, zone: TimeZone): Opening {
  const today = Math.floor(zone.toWallMs(nowMs) / DAY_MS)
  const openings = windows.flatMap(window => Array.from({ length: DAYS_AHEAD + 2 }, (_, i) => openingOf(window, today - 1 + i, zone)))
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
  // One whose beginning the clock leaves out, and that would be over when it begins, is as long as on other days.
  return { opensMs, closesMs: closesMs > opensMs ? closesMs : opensMs + toMs - fromMs }
}

function timeOfDay (minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}
