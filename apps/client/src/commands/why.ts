import { jsonLine, printable } from '@filesync/program'
import { askControl, pathWithin, userPath } from '@filesync/program/node'
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

/** `filesync-client why`: the state of one path and its reason, from the running client, or from a scan if none is running. */
export async function why (path: string, flags: PushFlags, context: CommandContext): Promise<void> {
  const { terminal } = context
  const stateDir = stateDirOf(flags, terminal)
  const status = await askControl(stateDir, 'GET /status') as ClientStatus | undefined
  const state = status === undefined
    ? await whyByScan(path, flags, context)
    : await askControl(stateDir, 'POST /why', { body: { path: explainedPath(status.directory, path, terminal.env) } }) as PathState
  terminal.stdout.write(flags.json === true ? jsonLine(state) : `${printable(state.path)}: ${printable(state.reason)}\n`)
}

async function whyByScan (path: string, flags: PushFlags, { terminal, signal }: CommandContext): Promise<PathState> {
  const { root, settleMs, builtInIgnores, ignoreFile } = await completePushSettings(undefined, flags, terminal)
  const inside = explainedPath(root, path, terminal.env)
  const ignore = { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) }
  const scanner = await openScanner({ root, settleMs, clock: systemClock, ignore })
  try {
    await scanner.scan({ signal })
    return explainPath(inside, scanner.explain(inside), new RunRecord())
  } finally {
    await scanner.close()
  }
}

/** Converts a path from the command line, absolute or relative to the directory, into a relative one. Throws USAGE. */
function explainedPath (directory: string, path: string, env: Terminal['env']): RelativePath {
  const inside = pathWithin(directory, userPath(path, env, directory))
  if (inside !== undefined && checkRelativePath(inside) === undefined) return inside as RelativePath
  throw new FileSyncError('USAGE', `${path} is not inside ${directory}. Give a path below that directory.`)
}
