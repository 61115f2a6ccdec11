import { FileSyncError } from '@filesync/protocol'

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40,
}

/** Longer ones are typing errors, and added to the current date they would exceed the range of dates. */
const MAX_DURATION_MS = 100 * 365 * 86_400_000

/** `30d`, `10m`, `1h30m`, `500ms`, or plain seconds, in milliseconds, up to 100 years. Throws USAGE. */
export function parseDuration (text: string): number {
  const trimmed = text.trim().toLowerCase()
  const totalMs = /^\d+(?:\.\d+)?$/u.test(trimmed) ? Number(trimmed) * 1000 : sumDuration(trimmed, text)
  if (totalMs > MAX_DURATION_MS) throw new FileSyncError('USAGE', `"${text}" is too long. The maximum is 36500d, which is 100 years.`)
  return Math.round(totalMs)
}

function sumDuration (trimmed: string, text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/u.test(trimmed)) {
    throw new FileSyncError('USAGE', `"${text}" is not a duration. Write for example 30d, 12h, 10m, 45s or 1h30m.`)
  }
  let totalMs = 0
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/gu)) {
    totalMs += Number(amount) * (DURATION_UNITS[unit ?? ''] ?? 0)
  }
  return totalMs
}

/** `20M`, `1.5GiB`, `500k` or `1000`, in bytes; `K M G T` are powers of 1000, with `i` powers of 1024. Throws USAGE. */
export function parseSize (text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?(?:\/s)?$/u.exec(text.trim().toLowerCase())
  const factor = SIZE_UNITS[match?.[2] ?? 'none']
  if (match === null || factor === undefined) {
    throw new FileSyncError('USAGE', `"${text}" is not a size. Write for example 500k, 20M, 1.5GiB or 1000.`)
  }
  const bytes = Math.round(Number(match[1]) * factor)
  if (!Number.isSafeInteger(bytes)) throw new FileSyncError('USAGE', `"${text}" is too large. The maximum is 9000T.`)
  return bytes
}

/** An amount with its noun, for people: `1 file`, `2 files`, `0 entries`. */
export function formatCount (amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`
}

/** A duration for people: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function formatDuration (durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`
  const seconds = Math.round(durationMs / 1000)
  if (seconds < 60) return `${durationMs < 10_000 ? (durationMs / 1000).toFixed(1) : seconds} s`
  if (seconds < 3600) return pair([Math.floor(seconds / 60), 'min'], [seconds % 60, 's'])
  const minutes = Math.round(seconds / 60)
  if (minutes < 24 * 60) return pair([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min'])
  const hours = Math.round(minutes / 60)
  return pair([Math.floor(hours / 24), 'd'], [hours % 24, 'h'])
}

function pair (large: readonly [number, string], small: readonly [number, string]): string {
  return small[0] === 0 ? large.join(' ') : `${large.join(' ')} ${small.join(' ')}`
}
