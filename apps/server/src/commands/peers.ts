import { openPeers } from '@filesync/identity/node'
import { formatCount, formatDuration, jsonLine, parseDuration, printable } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { PeerOperations } from '../peers/peer-operations.ts'
import type { OperatedArchive, RemovedPeer } from '../peers/peer-operations.ts'
import { expectPeer, pausePeer, removePeer, renamePeer } from '../peers/peer-routes.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import { peerState } from '../status/peer-row.ts'
import type { PeerRow, PeerState } from '../status/peer-row.ts'
import { SyncHistory } from '../status/sync-history.ts'
import { runOnArchive } from './archive.ts'
import type { ArchiveFlags } from './archive.ts'
import type { ServerContext } from './start.ts'
import { describeClone } from '../status/clone-watch.ts'

export interface RemoveFlags extends ArchiveFlags {
  readonly keepFiles?: boolean
}

/** `filesync-server peers`: the clients, also the revoked ones; from the running server, or from the files of one that does not run. */
export async function listPeers (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const rows = await askControl(stateDir, 'GET /peers') as PeerRow[] | undefined ?? await readRows(stateDir)
  if (flags.json === true) terminal.stdout.write(jsonLine(rows))
  else if (rows.length === 0) terminal.stdout.write('No client is paired. Run "filesync-server pair".\n')
  else terminal.stdout.write(rows.map(row => describeRow(row, systemClock.nowMs())).join(''))
}

async function readRows (stateDir: string): Promise<PeerState[]> {
  const [peers, records] = await Promise.all([openPeers(stateDir).list(), SyncHistory.peek(stateDir)])
  return peers.map(peer => peerState(peer, { last: records.get(peer.area), clone: undefined, nowMs: systemClock.nowMs() }))
}

function describeRow (row: PeerState, nowMs: number): string {
  const ago = (time: string | null): string => (
    time === null ? 'never' : `${time} (${formatDuration(Math.max(0, nowMs - Date.parse(time)))} ago)`
  )
  const lines = [
    `paired    ${ago(row.pairedAt)}`,
    `seen      ${ago(row.lastSeenAt)}${row.lastAddress === null ? '' : ` at ${printable(row.lastAddress)}`}`,
    `complete  ${ago(row.lastCompleteAt)}`,
    `expected  ${describeExpectation(row)}`,
  ]
  if (row.pausedAt !== null) lines.push(`PAUSED    since ${ago(row.pausedAt)}`)
  if (row.revokedAt !== null) lines.splice(3, 1, `REVOKED   ${ago(row.revokedAt)}`)
  if (row.removedAt !== null) lines.push(`REMOVED   ${ago(row.removedAt)}; its files leave with their versions`)
  if (row.cloned !== null) lines.push(describeClone(row.client, row.cloned))
  return `${row.client}  ${row.id}\n${lines.map(line => `    ${line}\n`).join('')}`
}

function describeExpectation ({ expectMs, usualGapMs, dueAt, late }: PeerState): string {
  if (expectMs === 'never') return 'never'
  // Before the second complete sync, no gap is known.
  const usual = usualGapMs < 60_000 ? '24 h' : `24 h beyond its usual gap of ${formatDuration(usualGapMs)}`
  const within = `within ${expectMs === null ? usual : formatDuration(expectMs)}`
  return `${within}${dueAt === null ? '' : late ? `; LATE since ${dueAt}` : `, by ${dueAt}`}`
}

/** `filesync-server peers rename`. */
export async function rename ([peer, to]: readonly [string, string], flags: ArchiveFlags, context: ServerContext): Promise<void> {
  const work = { route: 'POST /peers/rename', request: { peer, to }, work: renamePeer }
  const renamed = await runWithArchive(work, flags, context)
  report(renamed, `${printable(renamed.from)} is called ${printable(renamed.to)} from now on. The client learns that at its next sync.`, {
    flags, context,
  })
}

/** `filesync-server peers remove`. */
export async function remove (peer: string, flags: RemoveFlags, context: ServerContext): Promise<void> {
  if (flags.keepFiles === true) {
    const stateDir = stateDirOf(flags, context.terminal)
    const answer = await askControl(stateDir, 'POST /revoke', { body: { peer } }) as { area: string } | undefined
    const { area } = answer ?? await openPeers(stateDir).revoke(peer)
    report({ area, files: 0, isGone: false }, `${printable(area)} is removed. Its files stay in the archive; ` +
      `"filesync-server pair --for ${printable(area)}" lets another machine continue them.`, { flags, context })
    return
  }
  const removed = await runWithArchive({ route: 'POST /peers/remove', request: { peer }, work: removePeer }, flags, context)
  report(removed, describeRemoved(removed), { flags, context })
}

function describeRemoved ({ area, files, isGone }: RemovedPeer): string {
  if (isGone) return `${printable(area)} is removed. It had no files.`
  return `${printable(area)} is removed. ${formatCount(files, 'file')} moved to versions, and leave with their retention; ` +
    `until then "filesync-server restore ${printable(area)}" brings them back, and the name stays taken.`
}

/** `filesync-server peers pause` and `resume`. */
export async function pause (peer: string, isPaused: boolean, { flags, context }: CommandInput): Promise<void> {
  const change = { route: 'POST /peers/pause', request: { peer, pause: isPaused }, work: pausePeer }
  const { area } = await runOnBook(change, { flags, context })
  report({ area, paused: isPaused }, isPaused
    ? `${printable(area)} is paused, and pushes nothing until "filesync-server peers resume ${printable(area)}".`
    : `${printable(area)} may push again. It comes by itself, at the latest after the sync interval.`, { flags, context })
}

/** `filesync-server peers expect`: a duration, `never`, or `usual` for the default. */
export async function expect ([peer, within]: readonly [string, string], { flags, context }: CommandInput): Promise<void> {
  const expectMs = within === 'never' ? 'never' : within === 'usual' ? null : parseWithin(within)
  const change = { route: 'POST /peers/expect', request: { peer, expectMs }, work: expectPeer }
  const { area } = await runOnBook(change, { flags, context })
  const what = expectMs === 'never'
    ? 'is never late'
    : `is late ${expectMs === null ? '24 h beyond its usual gap' : formatDuration(expectMs)} after a complete sync`
  report({ area, expectMs }, `${printable(area)} ${what}.`, { flags, context })
}

function parseWithin (text: string): number {
  const ms = parseDuration(text)
  if (Number.isFinite(ms) && ms > 0) return ms
  throw new FileSyncError('USAGE', `"${text}" is not a time to wait for a client: give a duration such as 14d, "never", or "usual".`)
}

interface CommandInput {
  readonly flags: ServerCommonFlags
  readonly context: ServerContext
}

interface PeerChange<T> {
  readonly route: string
  readonly request: Readonly<Record<string, unknown>>
  readonly work: (operations: PeerOperations, request: unknown) => Promise<T>
}

/** Lets the running server do the work; if none runs, opens the archive and does it here. */
async function runWithArchive <T>({ route, request, work }: PeerChange<T>, flags: ArchiveFlags, context: ServerContext): Promise<T> {
  const onArchive = async (archive: OperatedArchive, body: unknown): Promise<T> => (
    await runHere(stateDirOf(flags, context.terminal), archive, async operations => await work(operations, body))
  )
  return await runOnArchive({ route, request, work: onArchive }, flags, context)
}

/** As {@link runWithArchive}, for work that needs no archive. */
async function runOnBook <T>({ route, request, work }: PeerChange<T>, { flags, context }: CommandInput): Promise<T> {
  const stateDir = stateDirOf(flags, context.terminal)
  const answer = await askControl(stateDir, route, { body: request }) as T | undefined
  return answer ?? await runHere(stateDir, NO_ARCHIVE, async operations => await work(operations, request))
}

async function runHere <T>(stateDir: string, archive: OperatedArchive, work: (operations: PeerOperations) => Promise<T>): Promise<T> {
  const history = await SyncHistory.open(stateDir, systemClock, () => { /* the server says so when it starts */ })
  const log: EventLog = () => { /* the command prints what it did */ }
  try {
    return await work(new PeerOperations({ peers: openPeers(stateDir), archive, history, log }))
  } finally {
    await history.close()
  }
}

async function noArchive (): Promise<never> {
  return await Promise.reject(new FileSyncError('INTERNAL', 'This command does not open the archive.'))
}

const NO_ARCHIVE: OperatedArchive = {
  areas: () => [], dropArea: noArchive, ensurePresent: noArchive, renameArea: noArchive, retireArea: noArchive, takenNames: noArchive,
}

function report (data: object, text: string, { flags, context }: CommandInput): void {
  const { stdout } = context.terminal
  if (flags.json === true) stdout.write(jsonLine(data))
  else if (flags.quiet !== true) stdout.write(`${text}\n`)
}

/** The area that `--for` names: asks the running server, whose archive may have areas without a key; otherwise looks into the book. */
export async function areaNamed (stateDir: string, named: string): Promise<string> {
  const answer = await askControl(stateDir, 'POST /peers/area', { body: { peer: named } }) as { area: string } | undefined
  if (answer !== undefined) return answer.area
  const peers = openPeers(stateDir)
  try {
    return (await peers.find(named)).area
  } catch (error) {
    if (!(error instanceof FileSyncError) || error.code !== 'USAGE') throw error
    const hint = 'If the archive has files of a client that the server does not know any more, start the server first.'
    throw new FileSyncError('USAGE', `${error.message} ${hint}`, { cause: error })
  }
}
