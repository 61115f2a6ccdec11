import { formatCount, formatDuration, printable } from '@filesync/program'
import { showStatus as show } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import type { DiskReport, QueueRow, Status } from '../status/health.ts'
import type { PeerRow } from '../status/peer-row.ts'
import type { SessionRow } from '../status/session-board.ts'
import { describeClone } from '../status/clone-watch.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'

export interface ServerStatusFlags extends ServerCommonFlags {
  readonly follow?: boolean
}

/** `filesync-server status`: the state once, or with `--follow` events as they happen. */
export async function showStatus (flags: ServerStatusFlags, context: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, context.terminal)
  await show<Status>({
    stateDir, follow: flags.follow === true, json: flags.json === true, describe: describeStatus, notRunning: notRunning(stateDir),
  }, context)
}

/** The error of a command that needs a running server. */
export function notRunning (stateDir: string): FileSyncError {
  const what = `No server is running with the state directory ${stateDir}.`
  return new FileSyncError('SERVER_UNREACHABLE', `${what} Start it, or give its state directory with --state-dir.`)
}

/** The state of a server as several lines of text. */
export function describeStatus (status: Status, nowMs: number): string {
  const { name, port, discovery, pairing, archive, sessions, queue, peers, disk, away } = status
  const uptime = formatDuration(nowMs - Date.parse(status.startedAt))
  return [
    `${printable(name)} on port ${port}${discovery ? '' : ', not discoverable'}${pairing ? ', pairing is open' : ''}, up for ${uptime}`,
    ...disk === null
      ? [`archive   ${printable(archive)}: UNAVAILABLE, nothing is stored until it is back`, `          ${printable(away ?? '')}`]
      : [`archive   ${printable(archive)}: ${describeArchive(disk)}`, `disk      ${describeDisk(disk)}`],
    ...table('serving', sessions.map(describeSession)),
    ...table('waiting', queue.map(describeWaiting)),
    ...table('clients', peers.filter(({ revokedAt }) => revokedAt === null).flatMap(peer => describePeer(peer, disk, nowMs))),
    '',
  ].join('\n')
}

function table (title: string, rows: readonly string[]): string[] {
  return (rows.length === 0 ? ['none'] : rows).map((row, at) => `${(at === 0 ? title : '').padEnd(10)}${row}`)
}

function describeArchive ({ areas, files, bytes }: DiskReport): string {
  return `${formatSize(bytes)} in ${formatCount(files, 'file')} of ${formatCount(areas.length, 'client')}, without versions`
}

function describeDisk ({ freeBytes, totalBytes, reserveBytes, quotaBytes }: DiskReport): string {
  const quota = quotaBytes === null ? 'no quota' : `quota ${formatSize(quotaBytes)} per client`
  return `${formatSize(freeBytes)} of ${formatSize(totalBytes)} free, ${formatSize(reserveBytes)} of it reserved; ${quota}`
}

function describeSession (row: SessionRow): string {
  const { client, doing, files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path } = row
  if (doing === 'comparing') return `${printable(client)}  comparing`
  const parts = [
    `${printable(client)}  ${files} of ${formatCount(filesWanted, 'file')}`,
    `${formatSize(bytes)} of ${formatSize(bytesWanted)}`,
    `${formatSize(bytesPerSecond)}/s`,
  ]
  if (remainingMs !== null) parts.push(`${formatDuration(remainingMs)} left`)
  if (path !== null) parts.push(printable(path))
  return parts.join(', ')
}

function describeWaiting ({ client, position, estimateMs }: QueueRow): string {
  return `${position}. ${printable(client)}${estimateMs === null ? '' : `, in about ${formatDuration(estimateMs)}`}`
}

function describePeer (peer: PeerRow, disk: DiskReport | null, nowMs: number): string[] {
  const ago = (time: string): string => `${formatDuration(Math.max(0, nowMs - Date.parse(time)))} ago`
  const size = disk?.areas.find(({ client }) => client === peer.client)
  const parts = [peer.lastCompleteAt === null ? 'never synced completely' : `complete ${ago(peer.lastCompleteAt)}`]
  if (size !== undefined) parts.push(`${formatSize(size.bytes)} in ${formatCount(size.files, 'file')}`)
  parts.push(peer.lastSeenAt === null ? 'never seen' : `seen ${ago(peer.lastSeenAt)} at ${printable(peer.lastAddress ?? '?')}`)
  const nextSyncInMs = peer.nextSyncAt === null ? 0 : Date.parse(peer.nextSyncAt) - nowMs
  if (nextSyncInMs > 0) parts.push(`next sync in ${formatDuration(nextSyncInMs)}`)
  if (peer.problemCount > 0) parts.push(`${peer.problemCount} not stored`)
  const troubles = peer.problems.map(({ path, message }) => `    ${printable(path)}: ${printable(message)}`)
  if (peer.problemCount > troubles.length) troubles.push(`    and ${peer.problemCount - troubles.length} more`)
  if (peer.message !== null) troubles.unshift(`    ${peer.lastResult ?? ''}: ${printable(peer.message)}`)
  const { count, first } = peer.damage
  if (count > 0) {
    const named = first.map(({ path, what, foundAt }) => `    ${printable(path)}: ${what} in the archive, found at ${foundAt}`)
    if (count > first.length) {
      named.push(`    and ${count - first.length} more: "filesync-server verify ${printable(peer.client)}" lists them all`)
    }
    parts.push(`${formatCount(count, 'stored file')} altered, damaged or missing`)
    troubles.unshift(...named)
  }
  if (peer.pausedAt !== null) parts.push(`PAUSED ${ago(peer.pausedAt)}`)
  if (peer.late) parts.push('LATE')
  if (peer.late && peer.dueAt !== null) troubles.unshift(`    LATE: its next complete sync was due ${ago(peer.dueAt)}`)
  if (peer.cloned !== null) troubles.unshift(`    ${describeClone(peer.client, peer.cloned)}`)
  if (peer.halted) troubles.unshift(`    HALTED: "filesync-server release ${printable(peer.client)}" lets its next sync pass`)
  return [`${printable(peer.client)}  ${parts.join(', ')}`, ...troubles]
}
