import { formatMomentIn, parseMomentIn } from '../moment.ts'
import type { ParsedMoment } from '../moment.ts'

/**
 * Parses a moment: the id of a point such as `p17`, a duration before now (`2h`, `3d`), `today 9:30`, `yesterday 14:00`, or a date with or
 * without a time and a zone. Without a zone it is local time, and without a time midnight. Accepts every format in which the programs print
 * times. Throws USAGE, also for a local time that a change of the clock skipped or repeated.
 */
export function parseMoment (text: string, now: { readonly nowMs: number }): ParsedMoment {
  return parseMomentIn(localOffsetMs, text, now)
}

/**
 * Formats a time as local time with its offset from UTC, such as `2026-11-22T10:30:00.000+01:00`; `parseMoment` takes it back to the same
 * moment. A time that no date can hold becomes `unknown time`.
 */
export function formatMoment (ms: number): string {
  return formatMomentIn(localOffsetMs, ms)
}

/** What local time is ahead of UTC at a moment. Zones of former times have offsets with seconds, which `getTimezoneOffset` rounds. */
function localOffsetMs (ms: number): number {
  const date = new Date(ms)
  const local = new Date(0)
  local.setUTCFullYear(date.getFullYear(), date.getMonth(), date.getDate())
  local.setUTCHours(date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds())
  return local.getTime() - date.getTime()
}
