import { isAbsolute, relative, resolve } from 'node:path'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openScanner } from '@filesync/scanner/node'
import { explainPath } from '../explain-path.ts'
import type { PathState } from '../explain-path.ts'
import type { PushResult } from '../push-result.ts'
import { RunRecord } from '../run-record.ts'
import type { Activity } from '../run-record.ts'
import { completePushSettings, stateDirOf } from '../settings.ts'
import type { CommonFlags, PushFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

interface Status {
  readonly directory: string
  readonly activity: Activity
  readonly watch: { readonly mode: string, readonly why?: string }
  readonly last?: { readonly atMs: number, readonly result: PushResult }
}

/** `filesync-client status`: what the running client is doing. */
export async function showStatus (flags: CommonFlags, { terminal }: CommandContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const status = await askControl(stateDir, 'GET /status') as Status | undefined
  if (status === undefined) {
    throw new FileSyncError('USAGE', `No client runs with the state directory ${stateDir}. Start one with "filesync-client start DIR", or name its directory with --state-dir.`)
  }
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(status))
    return
  }
  const { directory, activity, watch, last } = status
  const lines = [
    `directory  ${printable(directory)}`,
    `now        ${describeActivity(activity)}`,
    `changes    ${watch.mode}${watch.why === undefined ? '' : `: ${printable(watch.why)}`}`,
  ]
  if (last !== undefined) {
    const { result } = last
    lines.push(`last run   ${result.result} at ${new Date(last.atMs).toISOString()}${result.message === undefined ? '' : `: ${printable(result.message)}`}`)
    for (const { path, message } of result.problems) lines.push(`           ${printable(path)}: ${printable(message)}`)
  }
  terminal.stdout.write(`${lines.join('\n')}\n`)
}

function describeActivity (activity: Activity): string {
  switch (activity.doing) {
    case 'idle': return 'between two runs'
    case 'connecting': return 'looking for the server'
    case 'comparing': return 'comparing with the archive'
    case 'queued': return `in place ${activity.position} of the server's queue${activity.estimateMs === undefined ? '' : `, about ${formatDuration(activity.estimateMs)}`}`
    case 'sending': return `sending: ${activity.files} of ${activity.filesWanted} files${activity.isCompressing ? ', compressed' : ''}`
    case 'waiting': return `waiting; the next run is at ${new Date(activity.untilMs).toISOString()}`
  }
}

/** `filesync-client why`: the state of one path and the reason for it, from the running client or by reading the directory. */
export async function why (path: string, flags: PushFlags, context: CommandContext): Promise<void> {
  const { terminal } = context
  const status = await askControl(stateDirOf(flags, terminal), 'GET /status') as Status | undefined
  const state = status === undefined
    ? await whyAtRest(path, flags, context)
    : await askControl(stateDirOf(flags, terminal), 'POST /why', { body: { path: pathWithin(status.directory, path) } }) as PathState
  terminal.stdout.write(flags.json === true ? jsonLine(state) : `${printable(state.path)}: ${printable(state.reason)}\n`)
}

async function whyAtRest (path: string, flags: PushFlags, { terminal, signal }: CommandContext): Promise<PathState> {
  const { root, settleMs, builtInIgnores, ignoreFile } = await completePushSettings(undefined, flags, terminal)
  const inside = pathWithin(root, path)
  const scanner = await openScanner({ root, settleMs, clock: systemClock, ignore: { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) } })
  try {
    await scanner.scan({ signal })
    return explainPath(inside, scanner.why(inside), new RunRecord())
  } finally {
    await scanner.close()
  }
}

/** A path that a person gave, relative to the directory: absolute, or relative to it already. Throws USAGE. */
function pathWithin (directory: string, path: string): RelativePath {
  const inside = isAbsolute(path) ? relative(directory, path) : relative(directory, resolve(directory, path))
  const fault = checkRelativePath(inside)
  if (fault !== undefined) throw new FileSyncError('USAGE', `${path} is not a path inside ${directory}.`)
  return inside as RelativePath
}
