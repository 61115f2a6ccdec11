import { jsonLine, printable } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { splitFolder } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { recallFolders } from '../folders/folder-memory.ts'
import { locatePath } from '../folders/locate-path.ts'
import { openFolders } from '../push/open-folders.ts'
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
  const state = status === undefined ? await whyByScan(path, flags, context) : await askControl(stateDir, 'POST /why', {
    body: { path: locatePath(status.folders.map(folder => ({ ...folder, root: folder.path })), path, terminal.env) },
  }) as PathState
  terminal.stdout.write(flags.json === true ? jsonLine(state) : `${printable(state.path)}: ${printable(state.reason)}\n`)
}

async function whyByScan (path: string, flags: PushFlags, { terminal, signal }: CommandContext): Promise<PathState> {
  const settings = await completePushSettings([], flags, terminal)
  const wanted = locatePath(settings.folders, path, terminal.env)
  const only = settings.folders.filter(({ name }) => name === splitFolder(wanted).folder)
  const folders = await openFolders({ ...settings, folders: only }, await recallFolders(settings.stateDir), systemClock)
  try {
    await folders.look({ signal })
    return explainPath(wanted, folders.explain(wanted), new RunRecord())
  } finally {
    await folders.close()
  }
}
