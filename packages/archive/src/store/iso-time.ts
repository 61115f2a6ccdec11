import { civilFromDays, daysFromCivil } from '@filesync/protocol'

const DAY_MS = 86_400_000

/** Formats a time as ISO 8601 in UTC, as `Date.prototype.toISOString` does for the years 0 to 9999, without using `Date`. */
export function isoTime (timeMs: number): string {
  const days = Math.floor(timeMs / DAY_MS)
  const ofDayMs = timeMs - days * DAY_MS
  const { year, month, day } = civilFromDays(days)
  const part = (value: number, digits = 2): string => String(value).padStart(digits, '0')
  const [hour, minute, second] = [3_600_000, 60_000, 1000].map(unitMs => Math.floor(ofDayMs / unitMs))
  const time = `${part(hour ?? 0)}:${part((minute ?? 0) % 60)}:${part((second ?? 0) % 60)}.${part(Math.floor(ofDayMs % 1000), 3)}`
  return `${part(year, 4)}-${part(month)}-${part(day)}T${time}Z`
}

/** Parses a time that {@link isoTime} formatted; undefined if the text has another form. */
export function parseIsoTime (text: string): number | undefined {
  const parts = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z$/.exec(text)?.slice(1).map(Number)
  if (parts === undefined) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts
  return daysFromCivil({ year, month, day }) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms
}
