import { sep } from 'node:path'
import { jsonLine, printable } from '@filesync/program'
import { askControl, pathWithin, userPath, writeReport } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { openFileSource } from '@filesync/transfer/node'
import { chooseServers } from '../connect/choose-server.ts'
import { openClientState } from '../connect/client-state.ts'
import { connectToServer } from '../connect/connect-to-server.ts'
import type { ServerChooser } from '../connect/connect-to-server.ts'
import { greetForSafeCheck } from '../connect/greet.ts'
import { checkSafe } from '../safe/check-safe.ts'
import type { SafeResult } from '../safe/check-safe.ts'
import { localCopies } from '../safe/local-copies.ts'
import type { LocalCopy, LocalTree } from '../safe/local-copies.ts'
import { recallSource } from '../push/source-memory.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import { SOFTWARE } from '../software.ts'
import type { CommandContext } from './push.ts'

export interface SafeFlags extends ServerFlags {
  readonly directory?: string
  readonly serverName?: string
  readonly settle: number
  readonly fresh?: boolean
}

const NOT_SAFE_EXIT = 5

/** `filesync-client safe`: whether the server holds exactly what is here. Resolves with the exit code: 0 only if all is safe. */
export async function safe (paths: readonly string[], flags: SafeFlags, { terminal, signal }: CommandContext): Promise<number> {
  const stateDir = stateDirOf(flags, terminal)
  const root = await pushedDirectory(stateDir, flags)
  const inside = paths.map(path => pathInside(root, path, terminal.env))
  const tree: LocalTree = { root, settleMs: flags.settle, nowMs: () => systemClock.nowMs() }
  const summary = new SafeSummary()
  const print = (text: string): void => { writeReport(terminal, text, { quiet: flags.quiet, isTrouble: !summary.isSafe }) }
  const source = openFileSource({ root })
  try {
    const { identity, servers } = await openClientState(stateDir)
    const { connection } = await connectToServer({
      identity,
      servers,
      server: flags.server,
      interfaces: flags.interface,
      choose: await serverChooser(root, stateDir, flags),
      clock: systemClock,
      signal,
    })
    try {
      await greetForSafeCheck(connection, SOFTWARE, systemClock)
      for await (const result of checkSafe(copiesAt(tree, inside), { connection, source, hash: hashBytes, fresh: flags.fresh === true })) {
        summary.add(result)
        if (flags.json === true) terminal.stdout.write(jsonLine(result))
        else if (!result.safe) print(`${displayPath(result.path)}: NOT SAFE. ${printable(result.reason)}\n`)
      }
      await connection.close()
    } catch (error) {
      await connection.close(error)
      throw error
    }
  } finally {
    await source.close()
  }
  if (flags.json !== true) print(summary.describe())
  return summary.isSafe ? 0 : NOT_SAFE_EXIT
}

/** Chooses the server that the directory is pushed to. */
async function serverChooser (root: string, stateDir: string, flags: SafeFlags): Promise<ServerChooser> {
  const { server, serverName } = flags
  const home = (await recallSource(stateDir, root))?.serverId
  return pinned => chooseServers(pinned, { root, home, named: serverName, isAddressGiven: server !== undefined })
}

function * copiesAt (tree: LocalTree, paths: readonly string[]): Generator<LocalCopy, void, undefined> {
  for (const path of paths) yield * localCopies(tree, path)
}

/** The directory given as an option, or the one that the running client pushes. Throws USAGE. */
async function pushedDirectory (stateDir: string, { directory }: SafeFlags): Promise<string> {
  if (directory !== undefined) return directory
  const status = await askControl(stateDir, 'GET /status') as { readonly directory: string } | undefined
  if (status !== undefined) return status.directory
  throw new FileSyncError('USAGE', 'No client is running, so the pushed directory is not known. Name it with --directory DIR.')
}

/**
 * Converts a path from the command line into one relative to the pushed directory. It may be absolute, relative to the working
 * directory, or, if that leads outside, relative to the pushed directory. Throws USAGE.
 */
export function pathInside (directory: string, path: string, env: Terminal['env']): string {
  const inside = pathWithin(directory, userPath(path, env)) ?? pathWithin(directory, userPath(path, env, directory))
  if (inside !== undefined) return inside.split(sep).join('/')
  throw new FileSyncError('USAGE', `${path} is not inside the pushed directory ${directory}. Give a path below that directory.`)
}

function displayPath (path: string): string {
  return path === '' ? '.' : printable(path)
}

/** The outcome of all checks of one run. */
class SafeSummary {
  #checked = 0
  #unsafe = 0
  /** The result if there is only one. */
  #only: SafeResult | undefined
  /** When the copy that was not verified for longest was last verified. */
  #oldest: string | undefined
  #isAllVerified = true

  get isSafe (): boolean {
    return this.#unsafe === 0
  }

  add (result: SafeResult): void {
    this.#checked++
    this.#only = this.#checked === 1 ? result : undefined
    if (!result.safe) this.#unsafe++
    if (result.verifiedAt === undefined) this.#isAllVerified = false
    else if (this.#oldest === undefined || result.verifiedAt < this.#oldest) this.#oldest = result.verifiedAt
  }

  describe (): string {
    if (this.#only !== undefined) return this.#only.safe ? `${displayPath(this.#only.path)}: safe. ${printable(this.#only.reason)}\n` : ''
    if (!this.isSafe) return `NOT SAFE: ${this.#unsafe} of ${this.#checked}.\n`
    const verified = this.#isAllVerified && this.#oldest !== undefined
      ? ` The server has verified every copy since ${this.#oldest}.`
      : ' Some copies have not been verified since they were stored; --fresh makes the server verify all of them now.'
    return `All ${this.#checked} are safe: the server holds exactly what is here.${verified}\n`
  }
}
