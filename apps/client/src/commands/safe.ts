import { sep } from 'node:path'
import { jsonLine, printable } from '@filesync/program'
import { askControl, pathWithin, userPath, writeReport } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { openFileSource } from '@filesync/transfer/node'
import { chooseServers } from '../connect/choose-server.ts'
import { openClientState } from '../connect/client-state.ts'
import { findServer } from '../connect/find-server.ts'
import type { FindServerInit } from '../connect/find-server.ts'
import { greetForQuestions } from '../connect/greet.ts'
import { askSafe } from '../safe/ask-safe.ts'
import type { ReceiptRow } from '../safe/ask-safe.ts'
import { localCopies } from '../safe/local-copies.ts'
import type { LocalTree } from '../safe/local-copies.ts'
import { recallSource } from '../push/scan-memory-file.ts'
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

/** `filesync-client safe`: whether the server holds exactly what is here. Resolves with the exit code, 0 where all is safe. */
export async function safe (paths: readonly string[], flags: SafeFlags, { terminal, signal }: CommandContext): Promise<number> {
  const stateDir = stateDirOf(flags, terminal)
  const root = await pushedDirectory(stateDir, flags)
  const inside = paths.map(path => pathInside(root, path, terminal.env))
  const tree: LocalTree = { root, settleMs: flags.settle, nowMs: () => systemClock.nowMs() }
  const report = new Report()
  const tell = (text: string): void => { writeReport(terminal, text, { quiet: flags.quiet, isTrouble: !report.isSafe }) }
  const source = openFileSource({ root })
  try {
    const { identity, servers } = await openClientState(stateDir)
    const { connection } = await findServer({
      identity, servers, server: flags.server, interfaces: flags.interface, choose: await choosing(root, stateDir, flags), clock: systemClock, signal,
    })
    try {
      await greetForQuestions(connection, SOFTWARE, systemClock)
      for await (const row of askSafe(all(tree, inside), { connection, source, hash: hashBytes, fresh: flags.fresh === true })) {
        report.add(row)
        if (flags.json === true) terminal.stdout.write(jsonLine(row))
        else if (!row.safe) tell(`${printable(shown(row.path))}: NOT SAFE. ${printable(row.reason)}\n`)
      }
      await connection.close()
    } catch (error) {
      await connection.close(error)
      throw error
    }
  } finally {
    await source.close()
  }
  if (flags.json !== true) tell(report.summary())
  return report.isSafe ? 0 : NOT_SAFE_EXIT
}

/** The server that the directory goes to is the one to ask. */
async function choosing (root: string, stateDir: string, flags: SafeFlags): Promise<NonNullable<FindServerInit['choose']>> {
  const { server, serverName } = flags
  const home = (await recallSource(stateDir, root))?.serverId
  return pinned => chooseServers(pinned, { root, home, named: serverName, isAddressGiven: server !== undefined })
}

function * all (tree: LocalTree, paths: readonly string[]): Generator<ReturnType<typeof localCopies> extends Generator<infer T> ? T : never, void, undefined> {
  for (const path of paths) yield * localCopies(tree, path)
}

/** As told, or else the one that the running client pushes. Throws USAGE. */
async function pushedDirectory (stateDir: string, { directory }: SafeFlags): Promise<string> {
  if (directory !== undefined) return directory
  const status = await askControl(stateDir, 'GET /status') as { readonly directory: string } | undefined
  if (status !== undefined) return status.directory
  throw new FileSyncError('USAGE', 'No client is running, so say which directory is pushed: --directory DIR.')
}

/** A path that a person gave: absolute, or from where they are, or else from the directory. Throws USAGE. */
export function pathInside (directory: string, path: string, env: Terminal['env']): string {
  const inside = pathWithin(directory, userPath(path, env)) ?? pathWithin(directory, userPath(path, env, directory))
  if (inside === undefined) throw new FileSyncError('USAGE', `${path} is not a path inside ${directory}.`)
  return inside.split(sep).join('/')
}

function shown (path: string): string {
  return path === '' ? '.' : path
}

/** What a run came to, for a person. */
class Report {
  #rows = 0
  #unsafe = 0
  #only: ReceiptRow | undefined
  #oldest: string | undefined
  #isAllVerified = true

  get isSafe (): boolean {
    return this.#unsafe === 0
  }

  add (row: ReceiptRow): void {
    this.#rows++
    this.#only = this.#rows === 1 ? row : undefined
    if (!row.safe) this.#unsafe++
    if (row.verifiedAt === undefined) this.#isAllVerified = false
    else if (this.#oldest === undefined || row.verifiedAt < this.#oldest) this.#oldest = row.verifiedAt
  }

  summary (): string {
    if (this.#only !== undefined) return this.#only.safe ? `${printable(shown(this.#only.path))}: safe. ${printable(this.#only.reason)}\n` : ''
    if (!this.isSafe) return `${this.#unsafe} of ${this.#rows} are NOT SAFE.\n`
    const verified = this.#isAllVerified && this.#oldest !== undefined
      ? ` The server has read every copy again since ${this.#oldest}.`
      : ' Not every copy was read again since it was stored; --fresh has the server do that now.'
    return `All ${this.#rows} are safe: the server holds exactly what is here.${verified}\n`
  }
}
