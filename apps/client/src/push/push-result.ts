import { ERRORS, FileSyncError, formatSize, joinProblems } from '@filesync/protocol'
import type { ErrorCode, Problem } from '@filesync/protocol'
import { formatCount, formatDuration, printable, problemLines } from '@filesync/program'
import type { Pushed } from './push-session.ts'

/** The last line of `push --json`; scripts rely on its fields. */
export interface PushResult {
  readonly result: 'ok' | 'problems' | 'halted' | 'failed'
  /** The name of the server that was reached; absent where none was. */
  readonly server?: string
  readonly filesSent: number
  readonly filesDeleted: number
  readonly filesRenamed: number
  readonly filesTotal: number
  readonly bytesTotal: number
  /** What crossed the socket. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  /** ISO 8601; null where the run failed and no server said when to come again. */
  readonly nextSyncAt: string | null
  readonly problems: readonly Problem[]
  /** How many problems there are in all; `problems` holds the first. */
  readonly problemCount: number
  /** Why the run failed or halted. */
  readonly code?: string
  readonly message?: string
}

/** What a run cost, whatever became of it. */
export interface RunCost {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
}

/** What a session that came to its end means for the person or script that asked for it. */
export function pushResult (pushed: Pushed, cost: RunCost, nextSyncAt: string): PushResult {
  const { tree, next } = pushed
  // A file that is held back is a problem of the scan, and of the server that asked for it.
  const { problemCount, more } = joinProblems(tree, next)
  return {
    result: next.result === 'HALTED' ? 'halted' : problemCount > 0 || next.result !== 'OK' ? 'problems' : 'ok',
    filesSent: next.stored.files,
    filesDeleted: next.stored.deleted,
    filesRenamed: next.stored.renamed,
    filesTotal: tree.files,
    bytesTotal: tree.bytes,
    ...cost,
    nextSyncAt,
    problems: [...tree.problems, ...more],
    problemCount,
    ...(next.message !== undefined && { code: 'HALTED', message: next.message }),
  }
}

/** What of a run is stored by now. */
export interface RunStored {
  readonly files: number
  readonly deleted: number
  readonly renamed: number
}

export const NOTHING_STORED: RunStored = { files: 0, deleted: 0, renamed: 0 }

/** As {@link pushResult}, for a run that an error ended, with what is stored nevertheless. */
export function failedResult (error: FileSyncError, cost: RunCost, stored: RunStored = NOTHING_STORED): PushResult {
  return {
    result: error.code === 'HALTED' ? 'halted' : 'failed',
    filesSent: stored.files,
    filesDeleted: stored.deleted,
    filesRenamed: stored.renamed,
    filesTotal: 0,
    bytesTotal: 0,
    ...cost,
    nextSyncAt: null,
    problems: [],
    problemCount: 0,
    code: error.code,
    message: error.message,
  }
}

/** The exit code of a run that came to its end. */
export function exitCodeOf (result: PushResult): number {
  if (result.result === 'ok') return 0
  return result.result === 'problems' ? 5 : ERRORS.HALTED.exitCode
}

/** The same for a person, over several lines. */
export function describeResult (result: PushResult): string {
  const lines = problemLines(result)
  if (lines.length > 0) lines.unshift(`${result.problemCount} ${result.problemCount === 1 ? 'entry was' : 'entries were'} not stored:`)
  if (result.result === 'halted') lines.unshift(printable(result.message ?? ERRORS.HALTED.meaning))
  return [...lines, headline(result)].join('\n')
}

function headline (result: PushResult): string {
  const parts = [`${result.filesSent} sent`]
  if (result.filesRenamed > 0) parts.push(`${result.filesRenamed} renamed`)
  if (result.filesDeleted > 0) parts.push(`${result.filesDeleted} moved to versions`)
  const state = result.result === 'ok' ? 'Everything is stored' : result.result === 'problems' ? 'Finished with problems' : 'Halted'
  const where = result.server === undefined || result.result === 'halted' ? '' : ` on ${printable(result.server)}`
  return `${state}${where}: ${formatCount(result.filesTotal, 'file')}, ${formatSize(result.bytesTotal)} (${parts.join(', ')}; ` +
    `${formatSize(result.bytesSent)} over the network in ${formatDuration(result.durationMs)}).`
}

/** Ends of a connection that say nothing about what to do. */
const BROKEN_OFF: readonly ErrorCode[] = ['PEER_GONE', 'PEER_TIMEOUT']

/** The error that ended a push, with what a person can do about it. */
export function withAdvice (error: FileSyncError): FileSyncError {
  if (!BROKEN_OFF.includes(error.code)) return error
  return new FileSyncError(error.code, `${error.message} What arrived is kept: push again, and it goes on from there.`, { cause: error, retryInMs: error.retryInMs })
}
