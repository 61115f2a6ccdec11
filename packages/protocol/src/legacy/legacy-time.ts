import { civilFromDays, daysFromCivil } from '../civil-date.ts'
import type { TimeZone } from '../civil-date.ts'

const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?$/u
const DAY_MS = 86_400_000
const NS_PER_MS = 1_000_000n
const MIN_NS = -(2n ** 63n)
const MAX_NS = 2n ** 63n - 1n

/**
 * Parses a naive local ISO timestamp to nanoseconds since the Unix epoch; undefined if it is invalid. Times outside the range of a
 * listing, such as the year 9999, are clamped to it.
 */
export function parseLegacyTime (text: string, zone: TimeZone): bigint | undefined {
  const match = TIMESTAMP.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const wallMs = daysFromCivil({ year, month, day }) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000
  const fractionNs = BigInt((match[7] ?? '').padEnd(9, '0'))
  const ns = BigInt(zone.toUtcMs(wallMs)) * NS_PER_MS + fractionNs
  return ns < MIN_NS ? MIN_NS : ns > MAX_NS ? MAX_NS : ns
}

/** Formats a time as the original program does: naive, local, with microseconds; finer digits are truncated. */
export function formatLegacyTime (ns: bigint, zone: TimeZone): string {
  const subSecondNs = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const wallMs = zone.toWallMs(Number((ns - subSecondNs) / NS_PER_MS))
  const days = Math.floor(wallMs / DAY_MS)
  const second = Math.floor((wallMs - days * DAY_MS) / 1000)
  const { year, month, day } = civilFromDays(days)
  const pad = (value: number, digits = 2): string => String(value).padStart(digits, '0')
  const clock = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60].map(value => pad(value)).join(':')
  return `${pad(year, 4)}-${pad(month)}-${pad(day)}T${clock}.${pad(Number(subSecondNs / 1000n), 6)}`
}

/** Whether two times are the same to the microsecond, the precision of the original program. */
export function sameMicrosecond (leftNs: bigint, rightNs: bigint): boolean {
  const differenceNs = leftNs - rightNs
  return differenceNs < 1000n && differenceNs > -1000n
}

function daysIn (year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
