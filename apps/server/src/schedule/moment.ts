import { parseDuration } from '@filesync/program'
import { FileSyncError } from '@filesync/protocol'

const DATE = String.raw`(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)`
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?:\.(?<fraction>\d{1,9}))?)?`
const ZONE = String.raw`(?<zone>Z|UTC|[+-]\d\d:?\d\d)`
const MOMENT = new RegExp(`^${DATE}(?:[T ]${TIME})?\\s?${ZONE}?$`, 'iu')

/**
 * Parses a moment into milliseconds since the Unix epoch: a date with or without time and zone, or a duration before now such as `2h`
 * or `3d`. Without a zone it is local time. Accepts every format in which this program prints times. Throws USAGE.
 */
export function parseMoment (text: string, nowMs: number): number {
  const trimmed = text.trim()
  const timeMs = /^\d{4}-/u.test(trimmed) ? parseTime(trimmed) : /^\d/u.test(trimmed) ? nowMs - parseDuration(trimmed) : undefined
  if (timeMs !== undefined && Number.isFinite(timeMs)) return timeMs
  const examples = '2026-11-22T10:30:00Z, "2026-11-22 10:30" for local time, or 2h for two hours ago'
  throw new FileSyncError('USAGE', `"${text}" is not a valid time. Examples: ${examples}.`)
}

function parseTime (text: string): number | undefined {
  const parts = MOMENT.exec(text)?.groups
  if (parts === undefined) return undefined
  const part = (name: string): number => Number(parts[name] ?? 0)
  const [year, month, day] = [part('year'), part('month'), part('day')]
  const [hour, minute, second] = [part('hour'), part('minute'), part('second')]
  // Invalid, though Date would accept them and carry over into the next month or day.
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const ms = Math.floor(Number(`0.${parts['fraction'] ?? '0'}`) * 1000 + 1e-6)
  const zone = parts['zone']
  if (zone === undefined) return new Date(year, month - 1, day, hour, minute, second, ms).getTime()
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetMs(zone)
}

function offsetMs (zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/u.exec(zone) ?? []
  return sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}
