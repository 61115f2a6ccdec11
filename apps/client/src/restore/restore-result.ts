import { join } from 'node:path'
import { formatCount, printable, problemLines } from '@filesync/program'
import { formatMoment } from '@filesync/program/node'
import { formatSize } from '@filesync/protocol'
import type { FileSyncError, Problem, RestoreAnswer, RestoreDoubt } from '@filesync/protocol'
import type { RestoreProgress } from './run-restore.ts'
import type { RestoreState } from './restore-state.ts'

/** The output of `restore --json`. */
export interface RestoreResult {
  /** `problems`: something of the state is not there, or may not be as it was. */
  readonly result: 'ok' | 'problems' | 'failed'
  /** The directory that was restored to; null if it was not opened. */
  readonly to: string | null
  /** The point whose state was restored; null if a sync was changing the files at that time. */
  readonly point: string | null
  /** The moment that was asked for, or that of the point, by the server's clock; ISO 8601 in UTC. */
  readonly at: string | null
  /** Files and links in place, and the size of the files. */
  readonly files: number
  readonly bytes: number
  /** Of them, those that were there before, and those that are further names of others. */
  readonly filesPresent: number
  readonly filesLinked: number
  readonly filesTotal: number
  readonly bytesTotal: number
  /** What is not there, and why. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Why the state may be incomplete or inexact. */
  readonly doubts: readonly RestoreDoubt[]
  readonly doubtCount: number
  readonly code?: string
  readonly message?: string
}

/** What is known of a restore when it ends, well or not. */
export interface RestoreOutcome {
  readonly answer: RestoreAnswer | undefined
  readonly state: RestoreState | undefined
}

/** The result to show for a restore. */
export function restoreResult ({ answer, state }: RestoreOutcome, error?: FileSyncError): RestoreResult {
  const counts = state?.counts ?? { files: 0, bytes: 0, present: 0, linked: 0 }
  const problemCount = state?.problems.count ?? 0
  const doubtCount = answer?.doubtCount ?? 0
  return {
    result: error !== undefined ? 'failed' : problemCount + doubtCount > 0 ? 'problems' : 'ok',
    to: state?.target.root ?? null,
    point: answer?.point ?? null,
    at: answer === undefined ? null : isoTime(answer.atMs),
    files: counts.files,
    bytes: counts.bytes,
    filesPresent: counts.present,
    filesLinked: counts.linked,
    filesTotal: answer?.files ?? 0,
    bytesTotal: answer?.bytes ?? 0,
    problems: state?.problems.first ?? [],
    problemCount,
    doubts: answer?.doubts ?? [],
    doubtCount,
    ...(error !== undefined && { code: error.code, message: error.message }),
  }
}

/** The directory for a state if none is given. Its name is valid on every file system. */
export function defaultTarget (directory: string, { point, atMs }: RestoreAnswer): string {
  return join(directory, `restored-${point ?? isoTime(atMs).replaceAll(':', '.')}`)
}

/** The result as several lines of text. */
export function describeRestore (result: RestoreResult): string {
  const { files, bytes, filesPresent, to, problems, problemCount, doubts, doubtCount } = result
  const present = filesPresent === 0 ? '' : ` (${filesPresent === 1 ? '1 of them was' : `${filesPresent} of them were`} there already)`
  const amount = `${formatCount(files, 'file')}, ${formatSize(bytes)}${present}`
  const lines = [`Restored ${amount}, to ${printable(to ?? '')} as of ${momentOf(result)}.`]
  if (problemCount > 0) {
    const missing = `${formatCount(problemCount, 'entry is', 'entries are')} not restored:`
    lines.push(missing, ...problemLines({ problems, problemCount }))
    const isTaken = problems.some(({ code }) => code === 'PATH_TAKEN')
    if (isTaken) lines.push('To replace what was there, add --overwrite; or choose another --to.')
  }
  if (doubtCount > 0) {
    lines.push('The state may not be complete:', ...doubts.map(({ path, message }) => `  ${printable(path)}: ${printable(message)}`))
    if (doubtCount > doubts.length) lines.push(`  and ${doubtCount - doubts.length} more`)
  }
  return `${lines.join('\n')}\n`
}

/** What is in place after a restore that ended early, and how to go on; empty if nothing is. */
export function describeContinuing ({ files, filesTotal, to }: RestoreResult): string {
  if (to === null) return ''
  const done = `${files} of ${formatCount(filesTotal, 'file')} are in place in ${printable(to)}.`
  return `${done} Run the same command with --to ${printable(JSON.stringify(to))} to continue.\n`
}

/** The progress of a restore in one line. */
export function describeRestoreProgress ({ files, filesTotal, bytes, bytesTotal, bytesPerSecond, path }: RestoreProgress): string {
  const parts = [`${files}/${filesTotal} files`, `${formatSize(bytes)} of ${formatSize(bytesTotal)}`, `${formatSize(bytesPerSecond)}/s`]
  if (path !== undefined && path !== '') parts.push(printable(path))
  return parts.join('  ')
}

function momentOf ({ point, at }: RestoreResult): string {
  const time = formatMoment(Date.parse(at ?? ''))
  return point === null ? time : `${point}, ${time}`
}

function isoTime (ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString()
}
