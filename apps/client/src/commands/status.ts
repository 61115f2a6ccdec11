import { formatCount, formatDuration, printable, problemLines } from '@filesync/program'
import { showStatus as show } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import type { FolderStatus } from '../folders/folder-record.ts'
import type { ClientStatus } from '../status/control-routes.ts'
import { CLONED } from '../push/push-result.ts'
import { describeEstimate } from '../status/progress-line.ts'
import type { Activity } from '../status/run-record.ts'
import { stateDirOf } from '../settings.ts'
import type { ClientFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

export interface ClientStatusFlags extends ClientFlags {
  readonly follow?: boolean
}

/** `filesync-client status`: prints the status once, or events as they happen with `--follow`. */
export async function showStatus (flags: ClientStatusFlags, context: CommandContext): Promise<void> {
  const stateDir = stateDirOf(flags, context.terminal)
  await show<ClientStatus>({
    stateDir, follow: flags.follow === true, json: flags.json === true, describe: describeStatus, notRunning: notRunning(stateDir),
  }, context)
}

function notRunning (stateDir: string): FileSyncError {
  return new FileSyncError('USAGE', `No client is running with the state directory ${stateDir}. ` +
    'Start one with "filesync-client start FOLDER", or name its state directory with --state-dir.')
}

const CHANGES = { watching: 'watching', walking: 'noticed only by the next run', idle: 'not watched now' } as const

/** The status as several lines of text. */
export function describeStatus (status: ClientStatus, nowMs: number): string {
  const { folders, server, activity, watch, last, lastCompleteAt, nextSyncAt } = status
  const ago = (timeMs: number): string => `${formatDuration(Math.max(0, nowMs - timeMs))} ago`
  const lines = [
    ...folders.map((folder, at) => `${at === 0 ? 'folders ' : '        '}   ${describeFolder(folder, ago)}`),
    ...(server === null ? [] : [`server     ${printable(server)}`]),
    `now        ${describeActivity(activity)}`,
    `changes    ${CHANGES[watch.mode]}${watch.why === undefined ? '' : `: ${printable(watch.why)}`}`,
    `complete   ${lastCompleteAt === null ? 'never' : ago(Date.parse(lastCompleteAt))}`,
  ]
  if (nextSyncAt !== null) lines.push(`next run   ${nextSyncAt}, in ${formatDuration(Math.max(0, Date.parse(nextSyncAt) - nowMs))}`)
  if (status.cloned) lines.push(`CLONED     ${CLONED}`)
  if (last !== null) {
    const { result, filesTotal, bytesTotal, filesSent, message, problems, problemCount } = last.result
    const hasTree = result !== 'failed' && result !== 'paused'
    const tree = !hasTree ? '' : `, ${formatCount(filesTotal, 'file')}, ${formatSize(bytesTotal)}, ${filesSent} sent`
    lines.push(`last run   ${result} ${ago(last.atMs)}${tree}${message === undefined ? '' : `: ${printable(message)}`}`)
    for (const { path, message: text } of problems) lines.push(`           ${printable(path)}: ${printable(text)}`)
    if (problemCount > problems.length) lines.push(`           and ${problemCount - problems.length} more`)
  }
  lines.push(...describeLeftOut(folders))
  return `${lines.join('\n')}\n`
}

/** What is left out in all folders: the first entries, and how many more there are. */
function describeLeftOut (folders: readonly FolderStatus[]): string[] {
  const problems = folders.flatMap(({ leftOut }) => leftOut)
  const problemCount = folders.reduce((sum, { leftOutCount }) => sum + leftOutCount, 0)
  return problemLines({ problems, problemCount }).map((line, at) => `${at === 0 ? 'left out ' : '         '}${line}`)
}

/** A folder on one line. */
export function describeFolder (folder: FolderStatus, ago: (timeMs: number) => string): string {
  const { name, path, state, why, files, bytes, problemCount, leftOutCount, lastCompleteAt } = folder
  const parts = [
    `${formatCount(files, 'file')}, ${formatSize(bytes)}`,
    state === 'away' ? `away: ${why ?? ''}` : '',
    state === 'incomplete' && problemCount === 0 ? 'halted by the server' : '',
    state !== 'away' && problemCount > 0 ? `${formatCount(problemCount, 'entry', 'entries')} not stored` : '',
    leftOutCount > 0 ? `${formatCount(leftOutCount, 'entry', 'entries')} left out` : '',
    lastCompleteAt === null ? 'never complete' : `complete ${ago(Date.parse(lastCompleteAt))}`,
  ]
  return printable(`${name} (${path}): ${parts.filter(part => part !== '').join('; ')}`)
}

function describeActivity (activity: Activity): string {
  switch (activity.doing) {
    case 'idle': return 'between two runs'
    case 'connecting': return 'searching for the server'
    case 'comparing': return 'comparing with the archive'
    case 'queued': return `waiting at position ${activity.position} in the server's queue${describeEstimate(activity.estimateMs)}`
    case 'sending': return describeSending(activity)
    case 'waiting': return 'waiting for the next run'
  }
}

function describeSending (activity: Extract<Activity, { doing: 'sending' }>): string {
  const { files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing } = activity
  const parts = [
    `sending ${files} of ${formatCount(filesWanted, 'file')}`,
    `${formatSize(bytes)} of ${formatSize(bytesWanted)}`,
    `${formatSize(bytesPerSecond)}/s`,
  ]
  if (isCompressing) parts.push('compressed')
  if (remainingMs !== undefined) parts.push(`${formatDuration(remainingMs)} left`)
  if (path !== undefined) parts.push(printable(path))
  return parts.join(', ')
}
