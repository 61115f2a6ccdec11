import { existsSync } from 'node:fs'
import { formatCount, formatDuration, jsonLine, printable } from '@filesync/program'
import { askControl, serveControl, writeReport } from '@filesync/program/node'
import { checkName, FileSyncError } from '@filesync/protocol'
import type { Name, ServerStatusReady } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { openFileSource } from '@filesync/transfer/node'
import { chooseServers } from '../connect/choose-server.ts'
import { openClientState } from '../connect/client-state.ts'
import { commonServer, recallFolders, rememberFolders } from '../folders/folder-memory.ts'
import type { FolderMemory } from '../folders/folder-memory.ts'
import type { FolderStatus } from '../folders/folder-record.ts'
import { FolderTree } from '../folders/folder-tree.ts'
import { pushOnce } from '../push/push-once.ts'
import { exitCodeOf, withAdvice } from '../push/push-result.ts'
import type { PushResult } from '../push/push-result.ts'
import { stateDirOf } from '../settings.ts'
import type { ClientFlags, ServerFlags } from '../settings.ts'
import { SOFTWARE } from '../software.ts'
import type { ClientStatus } from '../status/control-routes.ts'
import { createProgressLine } from '../status/progress-line.ts'
import { describeFolder } from './status.ts'
import { showProgress } from './push.ts'
import type { CommandContext } from './push.ts'

/** `filesync-client folders`: the folders of this client, from the running client or as the last run left them. */
export async function listFolders (flags: ClientFlags, { terminal }: CommandContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const status = await askControl(stateDir, 'GET /status') as Pick<ClientStatus, 'folders'> | undefined
  const folders = new Map([...await recallFolders(stateDir)].map(([name, memory]) => [name, rememberedFolder(name, memory)]))
  for (const folder of status?.folders ?? []) folders.set(folder.name, folder)
  const rows = [...folders.values()].sort((a, b) => a.name < b.name ? -1 : 1)
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(rows))
    return
  }
  const nowMs = systemClock.nowMs()
  const ago = (timeMs: number): string => `${formatDuration(Math.max(0, nowMs - timeMs))} ago`
  const lines = rows.map(folder => `${describeFolder(folder, ago)}\n`)
  terminal.stdout.write(
    lines.length === 0 ? 'No folder has been pushed yet. Push one with "filesync-client push FOLDER".\n' : lines.join('')
  )
}

function rememberedFolder (name: string, { path, files, bytes = 0, completeAtMs }: FolderMemory): FolderStatus {
  const isThere = existsSync(path)
  return {
    name, path, files, bytes,
    state: isThere ? 'unknown' : 'away',
    why: isThere ? null : `${path} does not exist`,
    problemCount: 0,
    leftOut: [],
    leftOutCount: 0,
    lastCompleteAt: completeAtMs === undefined ? null : new Date(completeAtMs).toISOString(),
  }
}

export interface FolderRemovalFlags extends ServerFlags {
  readonly serverName?: string
  readonly fromArchive?: boolean
}

/**
 * `filesync-client folders remove`: a folder is no longer pushed. It stays in the archive, unless `--from-archive` moves its files to
 * versions. Resolves with the exit code.
 */
export async function removeFolder (name: string, flags: FolderRemovalFlags, context: CommandContext): Promise<number> {
  const { terminal } = context
  const stateDir = stateDirOf(flags, terminal)
  const memories = await recallFolders(stateDir)
  if (checkName(name) !== undefined || (!memories.has(name) && flags.fromArchive !== true)) {
    const known = memories.size === 0 ? 'No folder has been pushed yet.' : `The folders are: ${[...memories.keys()].join(', ')}.`
    throw new FileSyncError('USAGE', `This client has no folder "${name}". ${known}`)
  }
  // A running client would go on pushing it, and write its record again.
  const lock = await serveControl(stateDir, {})
  try {
    const result = flags.fromArchive === true ? await removeFromArchive(name, { stateDir, flags }, context) : undefined
    const isDone = result === undefined || result.result === 'ok'
    const isKept = result?.isKept === true
    if (isDone) await rememberFolders(stateDir, new Map([[name, undefined]]))
    if (flags.json === true)
      terminal.stdout.write(jsonLine({ folder: name, filesDeleted: result?.filesDeleted ?? 0, isKept, result: result?.result ?? 'ok' }))
    else writeReport(terminal, `${describeRemoval(name, result)}\n`, { quiet: flags.quiet, isTrouble: !isDone })
    return result === undefined ? 0 : exitCodeOf(result)
  } finally {
    await lock.close()
  }
}

interface Removal {
  readonly stateDir: string
  readonly flags: FolderRemovalFlags
}

/** The result of a removal; `isKept` if the server keeps what clients remove. */
type RemovalResult = PushResult & { readonly isKept: boolean }

/** A session that lists no folder and has one removed. Throws what ends it early. */
async function removeFromArchive (
  name: string, { stateDir, flags }: Removal, { terminal, signal }: CommandContext,
): Promise<RemovalResult> {
  const { server, serverName } = flags
  const home = commonServer([name], await recallFolders(stateDir), serverName)
  const source = openFileSource({ root: new Map() })
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  let isKept = false
  const watcher = showProgress(line)
  const onReady = (ready: ServerStatusReady): void => {
    isKept = ready.policy.mode === 'archive'
    watcher.onReady(ready)
  }
  try {
    const { result, error } = await pushOnce({
      ...await openClientState(stateDir), ...watcher, onReady, source, signal, server,
      interfaces: flags.interface,
      choose: pinned => chooseServers(pinned, { root: name, home, named: serverName, isAddressGiven: server !== undefined }),
      scan: async () => new FolderTree([], { hash: hashBytes, removed: [name as Name] }),
      folders: [],
      limitBytesPerSecond: undefined,
      compression: 'auto',
      software: SOFTWARE,
      clock: systemClock,
    })
    line.clear()
    if (error !== undefined) throw withAdvice(error)
    return { ...result, isKept }
  } finally {
    line.clear()
    await source.close()
  }
}

function describeRemoval (name: string, result: RemovalResult | undefined): string {
  const folder = printable(name)
  if (result === undefined) return `${folder} is no longer pushed. Its files stay in the archive; --from-archive moves them to versions.`
  if (result.result === 'ok' && result.isKept) {
    return `${folder} is pushed no more. Its files stay in the archive, because this server keeps all that clients remove.`
  }
  if (result.result === 'ok' && result.filesDeleted === 0) {
    return `${folder} is pushed no more. The archive had no file in a folder of exactly this name.`
  }
  if (result.result === 'ok') {
    return `${folder} is no longer pushed, and has left the archive: ${formatCount(result.filesDeleted, 'file')} moved to versions.`
  }
  const problems = result.problems.map(({ path, message }) => `\n  ${printable(path)}: ${printable(message)}`).join('')
  return `${folder} was not removed from the archive completely. ${printable(result.message ?? '')}${problems}`
}
