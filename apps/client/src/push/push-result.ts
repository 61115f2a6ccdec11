import { ERRORS, FileSyncError, formatSize, mergeProblems } from '@filesync/protocol'
import type { ErrorCode, Problem } from '@filesync/protocol'
import { formatCount, formatDuration, printable, problemLines } from '@filesync/program'
import type { FolderStatus } from '../folders/folder-record.ts'
import type { Pushed } from './push-session.ts'

/** The last line of `push --json`. Scripts rely on its fields. */
export interface PushResult {
  /** `paused`: the operator of the server wants this client to push nothing for now. */
  readonly result: 'ok' | 'problems' | 'halted' | 'paused' | 'failed'
  /** The name of the server that was reached; absent if none was. */
  readonly server?: string
  /** The folders that were to be pushed, after the run; absent if the run did not begin. */
  readonly folders?: readonly FolderStatus[]
  readonly filesSent: number
  readonly filesDeleted: number
  readonly filesRenamed: number
  readonly filesTotal: number
  readonly bytesTotal: number
  /** Bytes on the connection, before TLS. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  /** ISO 8601; null if the run failed and no server said when to come again. */
  readonly nextSyncAt: string | null
  readonly problems: readonly Problem[]
  /** The number of all problems; `problems` holds the first ones. */
  readonly problemCount: number
  /** The number of entries that were left out because of what they are, such as sockets. They are no problems. */
  readonly leftOutCount: number
  /** Why the run failed or halted. */
  readonly code?: string
  readonly message?: string
  /** Present if two machines seem to use the key of this client. */
  readonly cloned?: true
}

/** What a run cost, whether or not it succeeded. */
export interface RunCost {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
}

/** The result of a run whose session ended with NEXT_SYNC. */
export function pushResult (pushed: Pushed, cost: RunCost, nextSyncAt: string): PushResult {
  const { tree, next } = pushed
  // A file that was held back is a problem of the scan, and of the server too if it asked for the file.
  const { problemCount, more } = mergeProblems(tree, next)
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
    leftOutCount: tree.leftOut?.count ?? 0,
    ...(next.message !== undefined && { code: 'HALTED', message: next.message }),
  }
}

/** What a run has stored so far. */
export interface RunStored {
  readonly files: number
  readonly deleted: number
  readonly renamed: number
}

export const NOTHING_STORED: RunStored = { files: 0, deleted: 0, renamed: 0 }

/** As {@link pushResult}, for a run that ended with an error; counts what was stored nevertheless. */
export function failedResult (error: FileSyncError, cost: RunCost, stored: RunStored = NOTHING_STORED): PushResult {
  return {
    result: error.code === 'HALTED' ? 'halted' : error.code === 'PAUSED' ? 'paused' : 'failed',
    filesSent: stored.files,
    filesDeleted: stored.deleted,
    filesRenamed: stored.renamed,
    filesTotal: 0,
    bytesTotal: 0,
    ...cost,
    nextSyncAt: null,
    problems: [],
    problemCount: 0,
    leftOutCount: 0,
    code: error.code,
    message: error.message,
  }
}

/** The exit code of a run that did not fail. */
export function exitCodeOf (result: PushResult): number {
  if (result.result === 'ok') return 0
  return result.result === 'problems' ? 5 : ERRORS.HALTED.exitCode
}

/** What the server noticed, and what to do about it. */
export const CLONED: string = 'Two machines use the key of this client, and replace each other\'s files in the archive. ' +
  'On the one that is the copy, stop the client, remove its state directory, and run "filesync-client pair" again.'

/** The result as several lines of text. */
export function describeResult (result: PushResult): string {
  const lines = problemLines(result)
  if (lines.length > 0) lines.unshift(`${result.problemCount} ${result.problemCount === 1 ? 'entry was' : 'entries were'} not stored:`)
  if (result.result === 'halted') lines.unshift(printable(result.message ?? ERRORS.HALTED.meaning))
  if (result.cloned === true) lines.push(CLONED)
  return [...lines, headline(result)].join('\n')
}

function headline (result: PushResult): string {
  const parts = [`${result.filesSent} sent`]
  if (result.filesRenamed > 0) parts.push(`${result.filesRenamed} renamed`)
  if (result.filesDeleted > 0) parts.push(`${result.filesDeleted} moved to versions`)
  if (result.leftOutCount > 0) parts.push(`${result.leftOutCount} left out`)
  const state = result.result === 'ok' ? 'Everything is stored' : result.result === 'problems' ? 'Finished with problems' : 'Halted'
  const where = result.server === undefined || result.result === 'halted' ? '' : ` on ${printable(result.server)}`
  return `${state}${where}: ${formatCount(result.filesTotal, 'file')}, ${formatSize(result.bytesTotal)} (${parts.join(', ')}; ` +
    `${formatSize(result.bytesSent)} over the network in ${formatDuration(result.durationMs)}).`
}

/** Errors of a lost connection; their messages do not say what to do. */
const CONNECTION_LOST: readonly ErrorCode[] = ['PEER_GONE', 'PEER_TIMEOUT']

/** The error that ended a push, with advice added if it has none. */
export function withAdvice (error: FileSyncError): FileSyncError {
  if (!CONNECTION_LOST.includes(error.code)) return error
  const message = `${error.message} The server keeps what has arrived: push again to continue from there.`
  return new FileSyncError(error.code, message, { cause: error, retryInMs: error.retryInMs })
}
