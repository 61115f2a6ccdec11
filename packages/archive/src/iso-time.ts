const DAY_MS = 86_400_000

/** A time as ISO 8601 in UTC, as `Date.prototype.toISOString` has it for the years 0 to 9999, without asking a clock. */
export function isoTime (timeMs: number): string {
  const days = Math.floor(timeMs / DAY_MS)
  const ofDayMs = timeMs - days * DAY_MS
  const { year, month, day } = civilOf(days)
  const part = (value: number, digits = 2): string => String(value).padStart(digits, '0')
  const [hour, minute, second] = [3_600_000, 60_000, 1000].map(unitMs => Math.floor(ofDayMs / unitMs))
  const time = `${part(hour ?? 0)}:${part((minute ?? 0) % 60)}:${part((second ?? 0) % 60)}.${part(Math.floor(ofDayMs % 1000), 3)}`
  return `${part(year, 4)}-${part(month)}-${part(day)}T${time}Z`
}

/** The time that {@link isoTime} wrote. */
export function parseIsoTime (text: string): number | undefined {
  const parts = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z$/.exec(text)?.slice(1).map(Number)
  if (parts === undefined) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts
  return daysOf({ year, month, day }) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms
}

interface CivilDay {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** Days since 1970-01-01 to a date and back, by Howard Hinnant's algorithms (chrono-Compatible Low-Level Date Algorithms, 2013). */
function civilOf (days: number): CivilDay {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const ofEra = shifted - era * 146_097
  const yearOfEra = Math.floor((ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365)
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * ofYear + 2) / 153)
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  return { year: yearOfEra + era * 400 + Number(month <= 2), month, day: ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1 }
}

function daysOf ({ year, month, day }: CivilDay): number {
  const fromMarch = month <= 2 ? year - 1 : year
  const era = Math.floor(fromMarch / 400)
  const yearOfEra = fromMarch - era * 400
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + ofYear - 719_468
}
