import { relative } from 'node:path'
import { jsonLine, printable } from '@filesync/program'
import { askControl, userPath } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openScanner } from '@filesync/scanner/node'
import type { ClientStatus } from '../status/control-routes.ts'
import { explainPath } from '../status/explain-path.ts'
import type { PathState } from '../status/explain-path.ts'
import { RunRecord } from '../status/run-record.ts'
import { completePushSettings, stateDirOf } from '../settings.ts'
import type { PushFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

/** `filesync-client why`: the state of one path and the reason for it, from the running client or by reading the directory. */
export async function why (path: string, flags: PushFlags, context: CommandContext): Promise<void> {
  const { terminal } = context
  const status = await askControl(stateDirOf(flags, terminal), 'GET /status') as ClientStatus | undefined
  const state = status === undefined
    ? await whyAtRest(path, flags, context)
    : await askControl(stateDirOf(flags, terminal), 'POST /why', { body: { path: pathWithin(status.directory, path, terminal.env) } }) as PathState
  terminal.stdout.write(flags.json === true ? jsonLine(state) : `${printable(state.path)}: ${printable(state.reason)}\n`)
}

async function whyAtRest (path: string, flags: PushFlags, { terminal, signal }: CommandContext): Promise<PathState> {
  const { root, settleMs, builtInIgnores, ignoreFile } = await completePushSettings(undefined, flags, terminal)
  const inside = pathWithin(root, path, terminal.env)
  const scanner = await openScanner({ root, settleMs, clock: systemClock, ignore: { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) } })
  try {
    await scanner.scan({ signal })
    return explainPath(inside, scanner.why(inside), new RunRecord())
  } finally {
    await scanner.close()
  }
}

/** A path that a person gave, relative to the directory: absolute, or relative to it already. Throws USAGE. */
function pathWithin (directory: string, path: string, env: Terminal['env']): RelativePath {
  const inside = relative(directory, userPath(path, env, directory))
  const fault = checkRelativePath(inside)
  if (fault !== undefined) throw new FileSyncError('USAGE', `${path} is not a path inside ${directory}.`)
  return inside as RelativePath
}
