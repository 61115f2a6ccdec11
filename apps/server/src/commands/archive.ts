import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { formatCount, printable } from '@filesync/program'
import { askControl, formatMoment, parseMoment, userPath, writeReport } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { release as releaseArea, restore as restoreArea, showHistory, verify as verifyArea } from '../archive/archive-operations.ts'
import type { HistoryReport, PointRow, RestoreReport, VerifyReport, VersionRow } from '../archive/archive-operations.ts'
import { openKnownArchive } from '../archive/known-archive.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'

/** The flags of a command that opens the archive itself if no server is running. */
export interface ArchiveFlags extends ServerCommonFlags {
  readonly archive?: string
  readonly allowNetworkDisk?: boolean
}

export interface HistoryFlags extends ArchiveFlags {
  readonly before?: string
  readonly limit: number
}

export interface RestoreFlags extends ArchiveFlags {
  readonly at?: string
  readonly to?: string
  readonly overwrite?: boolean
}

/** The exit code of a command that completed except for single entries, which it lists. */
export const PROBLEMS_EXIT = 5

/** What to do if `verify` had nothing to compare with. */
const UNKNOWN_FIX = 'The archive lost its index (.filesync/index), or is a copy without it. ' +
  'Let the client sync, which rebuilds the index, then run "filesync-client safe" on the client to compare the content with the originals.'

const READ_ONLY = 'The archive is on a read-only file system. Nothing that is found is recorded, ' +
  'and a sync that was interrupted while it stored files is not completed.\n'

/** `filesync-server history`. */
export async function history (
  [client, path]: readonly [string, string | undefined], flags: HistoryFlags, context: ServerContext,
): Promise<void> {
  const request = { client, path, before: flags.before, limit: flags.limit }
  const operation = { route: 'POST /history', request, work: showHistory, access: 'read' } as const
  const report = await runOnArchive<HistoryReport>(operation, flags, context)
  context.terminal.stdout.write(flags.json === true ? `${JSON.stringify(report)}\n` : describeHistory(report))
}

/** `filesync-server restore`: resolves with the exit code. */
export async function restore (
  [client, path]: readonly [string, string | undefined], flags: RestoreFlags, context: ServerContext,
): Promise<number> {
  const at = flags.at === undefined ? undefined : parseMoment(flags.at, { nowMs: systemClock.nowMs() })
  const request = { client, path, at, to: flags.to, beside: userPath('.', context.terminal.env), overwrite: flags.overwrite === true }
  const operation = { route: 'POST /restore', request, work: restoreArea, access: 'read' } as const
  const report = await runOnArchive<RestoreReport>(operation, flags, context)
  const { stdout } = context.terminal
  if (flags.json === true) stdout.write(`${JSON.stringify(report)}\n`)
  else {
    const failures = report.failures.map(({ path: failed, message }) => `  ${printable(failed)}: ${printable(message)}\n`)
    const time = formatMoment(Date.parse(report.at))
    const moment = report.point === null ? time : `${report.point}, ${time}`
    const amount = `${formatCount(report.files, 'file')}, ${formatSize(report.bytes)}`
    const restored = `Restored ${amount}, to ${printable(report.to)} as of ${moment}.\n`
    writeReport(context.terminal, [restored, ...failures].join(''), { quiet: flags.quiet, isTrouble: failures.length > 0 })
  }
  return report.failures.length > 0 ? PROBLEMS_EXIT : 0
}

/** `filesync-server verify`: resolves with the exit code. */
export async function verify (client: string | undefined, flags: ArchiveFlags, context: ServerContext): Promise<number> {
  const operation = { route: 'POST /verify', request: { client }, work: verifyArea, access: 'read' } as const
  const reports = await runOnArchive<VerifyReport[]>(operation, flags, context)
  const { stdout } = context.terminal
  const isTrouble = ({ problems, isKnown }: VerifyReport): boolean => problems.length > 0 || !isKnown
  if (flags.json === true) stdout.write(`${JSON.stringify(reports)}\n`)
  else {
    for (const report of reports) {
      writeReport(context.terminal, describeVerification(report), { quiet: flags.quiet, isTrouble: isTrouble(report) })
    }
  }
  if (reports.length === 0 && flags.json !== true) {
    const nothing = 'The archive is empty: no client has synced yet.\n'
    writeReport(context.terminal, nothing, { quiet: flags.quiet, isTrouble: true })
  }
  return reports.length === 0 || reports.some(isTrouble) ? PROBLEMS_EXIT : 0
}

/** `filesync-server release`. */
export async function release (client: string, flags: ArchiveFlags, context: ServerContext): Promise<void> {
  const { wasHalted } = await runOnArchive({ route: 'POST /release', request: { client }, work: releaseArea }, flags, context)
  if (flags.quiet === true) return
  context.terminal.stdout.write(wasHalted
    ? `The next sync of ${printable(client)} passes the brake. What it removes or replaces moves to versions.\n`
    : `${printable(client)} was not halted. Its next sync passes the brake anyway.\n`)
}

function describeHistory ({ points, hasMore, versions }: HistoryReport): string {
  const lines = points.map(describePoint)
  if (lines.length === 0) lines.push(versions === undefined ? 'No sync has completed yet.' : 'No sync that is kept changed this.')
  const last = points.at(-1)
  if (hasMore && last !== undefined) lines.push(`There are older ones: --before ${last.point}`)
  if (versions !== undefined && versions.length > 0) lines.push('', 'Earlier versions, each with what to give to "restore --at":')
  return `${[...lines, ...(versions ?? []).map(describeVersion)].join('\n')}\n`
}

function describePoint ({ point, at, added, replaced, removed, bytes }: PointRow): string {
  const changes = [[added, 'added'], [replaced, 'replaced'], [removed, 'removed']] as const
  const told = changes.filter(([files]) => files > 0).map(([files, what]) => `${String(files)} ${what}`)
  const what = told.length === 0 ? 'only times, modes, links or directories' : [...told, formatSize(bytes)].join(', ')
  return `${point.padEnd(6)} ${formatMoment(Date.parse(at))}  ${what}`
}

function describeVersion ({ path, kind, sizeBytes, until, point }: VersionRow): string {
  const time = formatMoment(Date.parse(until))
  return `${(point ?? time).padEnd(6)} until ${time}  ${kind === 'file' ? formatSize(sizeBytes) : kind}  ${printable(path)}`
}

function describeVerification ({ client, files, bytes, problems, isKnown, isRecorded }: VerifyReport): string {
  const lines = problems.map(({ path, message }) => `  ${printable(path)}: ${printable(message)}\n`)
  if (!isKnown) {
    const what = `${printable(client)}: no digests are recorded for the files in its folder, so they could not be verified.`
    return `${what} ${UNKNOWN_FIX}\n${lines.join('')}`
  }
  if (files === 0 && problems.length === 0) return `${printable(client)}: no files are stored.\n`
  const next = isRecorded ? 'the next sync requests them again' : 'this is not recorded'
  const state = problems.length === 0 ? 'all intact' : `${problems.length} of them altered, damaged or missing; ${next}`
  return `${printable(client)}: ${formatCount(files, 'file')}, ${formatSize(bytes)}, ${state}.\n${lines.join('')}`
}

export interface Operation<T> {
  readonly route: string
  readonly request: Readonly<Record<string, unknown>>
  readonly work: (archive: Archive, request: unknown) => Promise<T>
  /** `read`: the archive may be read-only. `create`: the archive is created if it does not exist; otherwise it has to exist. */
  readonly access?: 'read' | 'create'
}

/** Lets the running server do the work, because it has the archive open. If none is running, opens the archive and does it here. */
export async function runOnArchive <T>(operation: Operation<T>, flags: ArchiveFlags, { terminal, signal }: ServerContext): Promise<T> {
  const { route, request, work, access } = operation
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, route, { body: request, withinMs: Infinity, signal })
  if (answer !== undefined) return answer as T
  if (flags.archive === undefined) {
    const what = `No server is running with the state directory ${stateDir}.`
    throw new FileSyncError('USAGE', `${what} Start it, or give the archive's directory with --archive DIR.`)
  }
  const init = {
    root: flags.archive,
    allowNetworkDisk: flags.allowNetworkDisk === true,
    keepMs: Infinity,
    deletions: 'archive',
    clock: systemClock,
    signal,
  } as const
  const archive = access === 'create'
    ? await openKnownArchive({ ...init, stateDir, accept: false })
    : await openArchive({ ...init, mustExist: true, mayBeReadOnly: access === 'read' })
  try {
    if (archive.isReadOnly && flags.quiet !== true) terminal.stderr.write(READ_ONLY)
    return await work(archive, request)
  } finally {
    await archive.close()
  }
}
