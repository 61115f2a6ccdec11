import { jsonLine, printable } from '@filesync/program'
import { writeReport } from '@filesync/program/node'
import { splitFolder } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
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
import { commonServer, recallFolders } from '../folders/folder-memory.ts'
import { knownFolders } from '../status/known-folders.ts'
import { locatePath } from '../folders/locate-path.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import { SOFTWARE } from '../software.ts'
import type { CommandContext } from './push.ts'

export interface SafeFlags extends ServerFlags {
  readonly serverName?: string
  readonly settle: number
  readonly fresh?: boolean
}

const NOT_SAFE_EXIT = 5

/** `filesync-client safe`: whether the server holds exactly what is here. Resolves with the exit code: 0 only if all is safe. */
export async function safe (paths: readonly string[], flags: SafeFlags, { terminal, signal }: CommandContext): Promise<number> {
  const stateDir = stateDirOf(flags, terminal)
  const folders = await knownFolders(stateDir)
  const wanted = paths.map(path => locatePath(folders, path, terminal.env))
  const roots = new Map(folders.map(({ name, root }) => [name, root]))
  const tree: LocalTree = { roots, settleMs: flags.settle, nowMs: () => systemClock.nowMs() }
  const summary = new SafeSummary()
  const print = (text: string): void => { writeReport(terminal, text, { quiet: flags.quiet, isTrouble: !summary.isSafe }) }
  const source = openFileSource({ root: roots })
  try {
    const { identity, servers } = await openClientState(stateDir)
    const { connection } = await connectToServer({
      identity,
      servers,
      server: flags.server,
      interfaces: flags.interface,
      choose: await serverChooser(wanted, stateDir, flags),
      clock: systemClock,
      signal,
    })
    try {
      await greetForSafeCheck(connection, SOFTWARE, systemClock)
      for await (const result of checkSafe(copiesAt(tree, wanted), { connection, source, hash: hashBytes, fresh: flags.fresh === true })) {
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

/** Chooses the server that the folders of the paths are pushed to. Throws USAGE if they are pushed to several. */
async function serverChooser (paths: readonly RelativePath[], stateDir: string, flags: SafeFlags): Promise<ServerChooser> {
  const { server, serverName } = flags
  const memories = await recallFolders(stateDir)
  const names = [...new Set(paths.map(path => splitFolder(path).folder as string))]
  const home = commonServer(names, memories, serverName)
  return pinned => chooseServers(pinned, { root: names.join(', '), home, named: serverName, isAddressGiven: server !== undefined })
}

function * copiesAt (tree: LocalTree, paths: readonly string[]): Generator<LocalCopy, void, undefined> {
  for (const path of paths) yield * localCopies(tree, path)
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
