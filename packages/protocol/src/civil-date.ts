/** A date of the proleptic Gregorian calendar. */
export interface CivilDate {
  readonly year: number
  /** From 1. */
  readonly month: number
  readonly day: number
}

// Both conversions: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013, days_from_civil and civil_from_days.

/** Days from 1970-01-01 to a date. */
export function daysFromCivil ({ year, month, day }: CivilDate): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** The date a number of days after 1970-01-01. */
export function civilFromDays (days: number): CivilDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  }
}

/** The time zone of the machine, as a port: the original program writes local times without a zone. */
export interface TimeZone {
  /** Converts a local time, given in milliseconds as if it were UTC, to milliseconds since the Unix epoch. */
  toUtcMs (wallMs: number): number
  /** The inverse of `toUtcMs`. */
  toWallMs (utcMs: number): number
}
