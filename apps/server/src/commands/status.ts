import { formatCount, formatDuration, printable } from '@filesync/program'
import { showStatus as show } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import type { DiskReport, PeerRow, QueueRow, Status } from '../status/health.ts'
import type { SessionRow } from '../status/session-board.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'

export interface ServerStatusFlags extends ServerCommonFlags {
  readonly follow?: boolean
}

/** `filesync-server status`: once, or with `--follow` what happens from now on. */
export async function showStatus (flags: ServerStatusFlags, context: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, context.terminal)
  await show<Status>({ stateDir, follow: flags.follow === true, json: flags.json === true, describe: describeStatus, notRunning: notRunning(stateDir) }, context)
}

function notRunning (stateDir: string): FileSyncError {
  return new FileSyncError('SERVER_UNREACHABLE', `No server runs with the state directory ${stateDir}. Start it first, or name its directory with --state-dir.`)
}

/** The state of a server for a person, over several lines. */
export function describeStatus (status: Status, nowMs: number): string {
  const { name, port, discovery, pairing, archive, sessions, queue, peers, disk, away } = status
  return [
    `${printable(name)} on port ${port}${discovery ? '' : ', not discoverable'}${pairing ? ', pairing is open' : ''}, up for ${formatDuration(nowMs - Date.parse(status.startedAt))}`,
    ...disk === null
      ? [`archive   ${printable(archive)}: AWAY, nothing is stored until it is back`, `          ${printable(away ?? '')}`]
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
  return `${formatSize(bytes)} in ${formatCount(files, 'file')} of ${formatCount(areas.length, 'client')}, versions not counted`
}

function describeDisk ({ freeBytes, totalBytes, reserveBytes, quotaBytes }: DiskReport): string {
  const quota = quotaBytes === null ? 'no quota' : `each client may have ${formatSize(quotaBytes)}`
  return `${formatSize(freeBytes)} of ${formatSize(totalBytes)} free, ${formatSize(reserveBytes)} of it never used; ${quota}`
}

function describeSession ({ client, doing, files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path }: SessionRow): string {
  if (doing === 'comparing') return `${printable(client)}  comparing`
  const parts = [`${printable(client)}  ${files} of ${formatCount(filesWanted, 'file')}`, `${formatSize(bytes)} of ${formatSize(bytesWanted)}`, `${formatSize(bytesPerSecond)}/s`]
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
  const parts = [peer.lastCompleteAt === null ? 'never stored completely' : `complete ${ago(peer.lastCompleteAt)}`]
  if (size !== undefined) parts.push(`${formatSize(size.bytes)} in ${formatCount(size.files, 'file')}`)
  parts.push(peer.lastSeenAt === null ? 'never seen' : `seen ${ago(peer.lastSeenAt)} at ${printable(peer.lastAddress ?? '?')}`)
  if (peer.nextSyncAt !== null && Date.parse(peer.nextSyncAt) > nowMs) parts.push(`next sync in ${formatDuration(Date.parse(peer.nextSyncAt) - nowMs)}`)
  if (peer.problemCount > 0) parts.push(`${peer.problemCount} not stored`)
  const troubles = peer.problems.map(({ path, message }) => `    ${printable(path)}: ${printable(message)}`)
  if (peer.problemCount > troubles.length) troubles.push(`    and ${peer.problemCount - troubles.length} more`)
  if (peer.message !== null) troubles.unshift(`    ${peer.lastResult ?? ''}: ${printable(peer.message)}`)
  const { count, first } = peer.damage
  if (count > 0) {
    const named = first.map(({ path, what, foundAt }) => `    ${printable(path)}: ${what} in the archive, found at ${foundAt}`)
    const more = count > first.length ? [`    and ${count - first.length} more: "filesync-server verify ${printable(peer.client)}" names them all`] : []
    parts.push(`${count} not as stored`)
    troubles.unshift(...named, ...more)
  }
  if (peer.halted) troubles.unshift(`    HALTED: "filesync-server release ${printable(peer.client)}" lets its next sync pass`)
  return [`${printable(peer.client)}  ${parts.join(', ')}`, ...troubles]
}
