import { formatCount, formatDuration, printable } from '@filesync/program'
import { showStatus as show } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import type { ClientStatus } from '../status/control-routes.ts'
import type { Activity } from '../status/run-record.ts'
import { stateDirOf } from '../settings.ts'
import type { CommonFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

export interface StatusFlags extends CommonFlags {
  readonly follow?: boolean
}

/** `filesync-client status`: once, or with `--follow` what happens from now on. */
export async function showStatus (flags: StatusFlags, context: CommandContext): Promise<void> {
  const stateDir = stateDirOf(flags, context.terminal)
  await show<ClientStatus>({ stateDir, follow: flags.follow === true, json: flags.json === true, describe: describeStatus, notRunning: notRunning(stateDir) }, context)
}

function notRunning (stateDir: string): FileSyncError {
  return new FileSyncError('USAGE', `No client runs with the state directory ${stateDir}. Start one with "filesync-client start DIR", or name its directory with --state-dir.`)
}

/** The state of a client for a person, over several lines. */
export function describeStatus (status: ClientStatus, nowMs: number): string {
  const { directory, server, activity, watch, last, lastCompleteAt, nextSyncAt } = status
  const ago = (timeMs: number): string => `${formatDuration(Math.max(0, nowMs - timeMs))} ago`
  const lines = [
    `directory  ${printable(directory)}`,
    ...(server === null ? [] : [`server     ${printable(server)}`]),
    `now        ${describeActivity(activity)}`,
    `changes    ${watch.mode}${watch.why === undefined ? '' : `: ${printable(watch.why)}`}`,
    `complete   ${lastCompleteAt === null ? 'never yet' : ago(Date.parse(lastCompleteAt))}`,
  ]
  if (nextSyncAt !== null) lines.push(`next run   ${nextSyncAt}, in ${formatDuration(Math.max(0, Date.parse(nextSyncAt) - nowMs))}`)
  if (last !== null) {
    const { result, filesTotal, bytesTotal, filesSent, message, problems, problemCount } = last.result
    const tree = result === 'failed' ? '' : `, ${formatCount(filesTotal, 'file')}, ${formatSize(bytesTotal)}, ${filesSent} sent`
    lines.push(`last run   ${result} ${ago(last.atMs)}${tree}${message === undefined ? '' : `: ${printable(message)}`}`)
    for (const { path, message: text } of problems) lines.push(`           ${printable(path)}: ${printable(text)}`)
    if (problemCount > problems.length) lines.push(`           and ${problemCount - problems.length} more`)
  }
  return `${lines.join('\n')}\n`
}

function describeActivity (activity: Activity): string {
  switch (activity.doing) {
    case 'idle': return 'between two runs'
    case 'connecting': return 'looking for the server'
    case 'comparing': return 'comparing with the archive'
    case 'queued': return `in place ${activity.position} of the server's queue${activity.estimateMs === undefined ? '' : `, about ${formatDuration(activity.estimateMs)}`}`
    case 'sending': return describeSending(activity)
    case 'waiting': return 'waiting for the next run'
  }
}

function describeSending ({ files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing }: Extract<Activity, { doing: 'sending' }>): string {
  const parts = [`sending ${files} of ${formatCount(filesWanted, 'file')}`, `${formatSize(bytes)} of ${formatSize(bytesWanted)}`, `${formatSize(bytesPerSecond)}/s`]
  if (isCompressing) parts.push('compressed')
  if (remainingMs !== undefined) parts.push(`${formatDuration(remainingMs)} left`)
  if (path !== undefined) parts.push(printable(path))
  return parts.join(', ')
}
