import { printable } from '@filesync/program'
import { formatMoment } from '@filesync/program/node'
import { formatSize } from '@filesync/protocol'
import type { HistoryPoint, HistoryVersion } from '@filesync/protocol'
import type { PathHistory } from './ask-history.ts'

/** The output of `history --json`. Times are ISO 8601 in UTC, by the server's clock. */
export interface HistoryResult {
  /** Completed syncs that changed something, newest first; with a path only those that changed it. */
  readonly points: readonly (Omit<HistoryPoint, 'id' | 'atMs'> & { readonly point: string, readonly at: string })[]
  /** Whether there are older points than these. */
  readonly hasMore: boolean
  /** Former states of the path and of what was below it, newest first; absent without a path. */
  readonly versions?: readonly VersionRow[]
  readonly hasMoreVersions?: boolean
}

interface VersionRow {
  readonly path: string
  readonly kind: Lowercase<HistoryVersion['kind']>
  readonly sizeBytes: number
  /** When it left the mirror. */
  readonly until: string
  /** The last point that has it; null if it came and went between two points. */
  readonly point: string | null
}

/** The result to show for a history. */
export function historyResult (points: PathHistory<HistoryPoint>, versions: PathHistory<HistoryVersion> | undefined): HistoryResult {
  return {
    points: points.rows.map(({ id, atMs, ...numbers }) => ({ point: id, at: isoTime(atMs), ...numbers })),
    hasMore: points.hasMore,
    ...(versions !== undefined && { versions: versions.rows.map(toRow), hasMoreVersions: versions.hasMore }),
  }
}

/** The history as several lines of text. */
export function describeHistory ({ points, hasMore, versions, hasMoreVersions }: HistoryResult): string {
  const lines = points.map(describePoint)
  if (lines.length === 0) lines.push(versions === undefined ? 'No sync has completed yet.' : 'No sync that is kept changed this.')
  if (hasMore) lines.push('There are older ones: raise --limit.')
  if (versions !== undefined && versions.length > 0) {
    lines.push('', 'Earlier versions, each with what to give to "restore --at":', ...versions.map(describeVersion))
    if (hasMoreVersions === true) lines.push('There are older ones: raise --limit.')
  }
  return `${lines.join('\n')}\n`
}

function describePoint ({ point, at, added, replaced, removed, bytes }: HistoryResult['points'][number]): string {
  const changes = [[added, 'added'], [replaced, 'replaced'], [removed, 'removed']] as const
  const counted = changes.filter(([files]) => files > 0).map(([files, what]) => `${String(files)} ${what}`)
  const what = counted.length === 0 ? 'only times, modes, links or directories' : [...counted, formatSize(bytes)].join(', ')
  return `${printable(point).padEnd(6)} ${formatMoment(Date.parse(at))}  ${what}`
}

function describeVersion ({ path, kind, sizeBytes, until, point }: VersionRow): string {
  const time = formatMoment(Date.parse(until))
  return `${printable(point ?? time).padEnd(6)} until ${time}  ${kind === 'file' ? formatSize(sizeBytes) : kind}  ${printable(path)}`
}

function toRow ({ path, kind, sizeBytes, untilMs, point }: HistoryVersion): VersionRow {
  return { path, kind: kind.toLowerCase() as Lowercase<typeof kind>, sizeBytes, until: isoTime(untilMs), point: point ?? null }
}

function isoTime (ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString()
}
