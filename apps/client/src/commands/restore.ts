import { asFileSyncError, FEATURES } from '@filesync/protocol'
import type { RestoreAnswer, RestoreQuestion } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { parseMoment, userPath, writeReport } from '@filesync/program/node'
import { chooseServers } from '../connect/choose-server.ts'
import { openClientState } from '../connect/client-state.ts'
import { connectToServer } from '../connect/connect-to-server.ts'
import { greetForRestore } from '../connect/greet.ts'
import { commonServer, recallFolders } from '../folders/folder-memory.ts'
import { askPoints, askVersions } from '../restore/ask-history.ts'
import { askedPath } from '../restore/asked-path.ts'
import { describeHistory, historyResult } from '../restore/history-result.ts'
import {
  defaultTarget, describeContinuing, describeRestore, describeRestoreProgress, restoreResult,
} from '../restore/restore-result.ts'
import type { RestoreOutcome } from '../restore/restore-result.ts'
import { RestoreTarget } from '../restore/restore-target.ts'
import { runRestore } from '../restore/run-restore.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import { SOFTWARE } from '../software.ts'
import { createProgressLine } from '../status/progress-line.ts'
import type { CommandContext } from './push.ts'

export interface HistoryFlags extends ServerFlags {
  readonly serverName?: string
  readonly limit: number
}

export interface ClientRestoreFlags extends ServerFlags {
  readonly serverName?: string
  readonly at?: string
  readonly to?: string
  readonly overwrite?: boolean
}

/** The exit code of a restore that came to its end but could not bring everything back as it was. */
const PROBLEMS_EXIT = 5

/** `filesync-client history`: the points and the former states of a path of this client, from the server. */
export async function history (text: string | undefined, flags: HistoryFlags, context: CommandContext): Promise<void> {
  const { terminal } = context
  const { path, connect } = await prepare(text ?? '/', flags, context)
  const { connection } = await connect()
  try {
    const points = await askPoints(connection, { path, limit: flags.limit })
    const versions = path === '' ? undefined : await askVersions(connection, { path, limit: flags.limit })
    await connection.close()
    const result = historyResult(points, versions)
    terminal.stdout.write(flags.json === true ? jsonLine(result) : describeHistory(result))
  } catch (error) {
    await connection.close(error)
    throw error
  }
}

/** `filesync-client restore`: brings back a path as it was. Resolves with the exit code. */
export async function restore (text: string | undefined, flags: ClientRestoreFlags, context: CommandContext): Promise<number> {
  const { terminal, signal } = context
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  const outcome: { -readonly [K in keyof RestoreOutcome]: RestoreOutcome[K] } = { answer: undefined, state: undefined }
  try {
    const question = { ...momentOf(flags), path: '' }
    const { path, connect } = await prepare(text ?? '/', flags, context)
    const done = await runRestore({
      question: { ...question, path },
      connect,
      openTarget: answer => openTarget(answer, flags, context),
      onState: state => { Object.assign(outcome, state) },
      hash: hashBytes,
      clock: systemClock,
      random: Math.random,
      signal,
      onProgress: progress => { line.show(describeRestoreProgress(progress)) },
      onRetry: (error, delayMs) => {
        line.clear()
        const next = `continuing in ${formatDuration(delayMs)}`
        if (flags.quiet !== true) terminal.stderr.write(`filesync-client: ${printable(error.message)} ${next}\n`)
      },
    })
    line.clear()
    const result = restoreResult(done)
    if (flags.json === true) terminal.stdout.write(jsonLine(result))
    else writeReport(terminal, describeRestore(result), { quiet: flags.quiet, isTrouble: result.result !== 'ok' })
    return result.result === 'ok' ? 0 : PROBLEMS_EXIT
  } catch (caught) {
    line.clear()
    const result = restoreResult(outcome, asFileSyncError(caught))
    if (flags.json === true) terminal.stdout.write(jsonLine(result))
    else terminal.stderr.write(describeContinuing(result))
    throw caught
  }
}

interface Prepared {
  readonly path: string
  readonly connect: () => Promise<{ readonly connection: Connection, readonly holes: boolean }>
}

/** The path in the archive, and how to reach the server. Throws USAGE and NOT_PAIRED. */
async function prepare (text: string, flags: ServerFlags & { readonly serverName?: string }, context: CommandContext): Promise<Prepared> {
  const { terminal, signal } = context
  const stateDir = stateDirOf(flags, terminal)
  const memories = await recallFolders(stateDir)
  const folders = [...memories].map(([name, { path: root }]) => ({ name, root }))
  const path = askedPath(text, folders, terminal.env)
  const { identity, servers } = await openClientState(stateDir)
  const { server, serverName } = flags
  const names = path === '' ? folders.map(({ name }) => name) : path.split('/', 1)
  const home = commonServer(names, memories, serverName)
  const root = names.join(', ')
  const connect = async (): ReturnType<Prepared['connect']> => {
    const { connection } = await connectToServer({
      identity,
      servers,
      server,
      interfaces: flags.interface,
      choose: pinned => chooseServers(pinned, { root, home, named: serverName, isAddressGiven: server !== undefined }),
      clock: systemClock,
      signal,
    })
    try {
      const { features } = await greetForRestore(connection, SOFTWARE, systemClock)
      return { connection, holes: features.has(FEATURES.HOLES) }
    } catch (error) {
      await connection.close(error)
      throw error
    }
  }
  return { path, connect }
}

function momentOf ({ at }: ClientRestoreFlags): Pick<RestoreQuestion, 'point' | 'atMs'> {
  if (at === undefined) return {}
  const moment = parseMoment(at, { nowMs: systemClock.nowMs() })
  return 'point' in moment ? moment : { atMs: Math.max(0, Math.floor(moment.ms)) }
}

function openTarget (answer: RestoreAnswer, { to, overwrite }: ClientRestoreFlags, { terminal }: CommandContext): RestoreTarget {
  const root = to ?? defaultTarget(userPath('.', terminal.env), answer)
  return new RestoreTarget({ root, overwrite: overwrite === true })
}
