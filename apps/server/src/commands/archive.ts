import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { formatCount, printable } from '@filesync/program'
import { askControl, writeReport } from '@filesync/program/node'
import { FileSyncError, formatSize } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { listVersions, release as releaseArea, restore as restoreArea, verify as verifyArea } from '../archive/archive-operations.ts'
import type { RestoreReport, VerifyReport, VersionRow } from '../archive/archive-operations.ts'
import { openKnownArchive } from '../archive/known-archive.ts'
import { parseMoment } from '../schedule/moment.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'

/** What a command needs that works on the archive itself where no server runs. */
export interface ArchiveFlags extends ServerCommonFlags {
  readonly archive?: string
  readonly allowNetworkDisk?: boolean
}

export interface RestoreFlags extends ArchiveFlags {
  readonly at: string
  readonly to: string
  readonly overwrite?: boolean
}

/** The exit code of a command that did its work but for single entries, which are listed. */
export const PROBLEMS_EXIT = 5

/** Told where verifying had nothing to compare with. */
const UNKNOWN_FIX = 'The archive is a copy without its index (.filesync/index), or has lost it. ' +
  'Let the client sync, which makes the index again, then run "filesync-client safe" on the client: it compares the content with the originals.'

const READ_ONLY = 'The archive is on a read-only file system: it is read as it is, and nothing that is found is recorded. ' +
  'What a sync was storing when it was cut off is not put in its place.\n'

/** `filesync-server versions`. */
export async function versions ([client, path]: readonly [string, string | undefined], flags: ArchiveFlags, context: ServerContext): Promise<void> {
  const rows = await runOnArchive<VersionRow[]>({ route: 'POST /versions', request: { client, path }, work: listVersions, access: 'reads' }, flags, context)
  const { stdout } = context.terminal
  if (flags.json === true) stdout.write(`${JSON.stringify(rows)}\n`)
  else if (rows.length === 0) stdout.write('There are no earlier versions.\n')
  else for (const { path: at, kind, sizeBytes, until } of rows) stdout.write(`until ${until}  ${kind === 'file' ? formatSize(sizeBytes) : kind}  ${printable(at)}\n`)
}

/** `filesync-server restore`: resolves with the exit code. */
export async function restore ([client, path]: readonly [string, string | undefined], flags: RestoreFlags, context: ServerContext): Promise<number> {
  const request = { client, path, atMs: parseMoment(flags.at, systemClock.nowMs()), to: flags.to, overwrite: flags.overwrite === true }
  const report = await runOnArchive<RestoreReport>({ route: 'POST /restore', request, work: restoreArea, access: 'reads' }, flags, context)
  const { stdout } = context.terminal
  if (flags.json === true) stdout.write(`${JSON.stringify(report)}\n`)
  else {
    const failures = report.failures.map(({ path: at, message }) => `  ${printable(at)}: ${printable(message)}\n`)
    const moment = new Date(request.atMs).toISOString()
    const restored = `Restored ${formatCount(report.files, 'file')}, ${formatSize(report.bytes)}, to ${printable(request.to)} as of ${moment}.\n`
    writeReport(context.terminal, [restored, ...failures].join(''), { quiet: flags.quiet, isTrouble: failures.length > 0 })
  }
  return report.failures.length > 0 ? PROBLEMS_EXIT : 0
}

/** `filesync-server verify`: resolves with the exit code. */
export async function verify (client: string | undefined, flags: ArchiveFlags, context: ServerContext): Promise<number> {
  const reports = await runOnArchive<VerifyReport[]>({ route: 'POST /verify', request: { client }, work: verifyArea, access: 'reads' }, flags, context)
  const { stdout } = context.terminal
  const isTrouble = ({ problems, isKnown }: VerifyReport): boolean => problems.length > 0 || !isKnown
  if (flags.json === true) stdout.write(`${JSON.stringify(reports)}\n`)
  else {
    for (const report of reports) writeReport(context.terminal, describeVerification(report), { quiet: flags.quiet, isTrouble: isTrouble(report) })
  }
  if (reports.length === 0 && flags.json !== true) {
    const nothing = 'Nothing is known of this archive, and nothing is in it: no client has been synced yet.\n'
    writeReport(context.terminal, nothing, { quiet: flags.quiet, isTrouble: true })
  }
  return reports.length === 0 || reports.some(isTrouble) ? PROBLEMS_EXIT : 0
}

/** `filesync-server release`. */
export async function release (client: string, flags: ArchiveFlags, context: ServerContext): Promise<void> {
  const { wasHalted } = await runOnArchive({ route: 'POST /release', request: { client }, work: releaseArea }, flags, context)
  if (flags.quiet === true) return
  context.terminal.stdout.write(wasHalted
    ? `The next sync of ${printable(client)} goes through. What it removes or replaces moves to versions.\n`
    : `${printable(client)} was not halted. Its next sync passes the brake all the same.\n`)
}

function describeVerification ({ client, files, bytes, problems, isKnown, isRecorded }: VerifyReport): string {
  const lines = problems.map(({ path, message }) => `  ${printable(path)}: ${printable(message)}\n`)
  if (!isKnown) return `${printable(client)}: nothing is known of what is in its folder, so there was nothing to compare it with. ${UNKNOWN_FIX}\n${lines.join('')}`
  if (files === 0 && problems.length === 0) return `${printable(client)}: no files are stored.\n`
  const state = problems.length === 0 ? 'all as they were stored' : `${problems.length} not as they were stored; ${isRecorded ? 'they are asked for again at the next sync' : 'nothing of that is recorded'}`
  return `${printable(client)}: ${formatCount(files, 'file')}, ${formatSize(bytes)}, ${state}.\n${lines.join('')}`
}

export interface Operation<T> {
  readonly route: string
  readonly request: Readonly<Record<string, unknown>>
  readonly work: (archive: Archive, request: unknown) => Promise<T>
  /** `reads`: it can do without writing to the archive. `makes`: it may make the archive of this server, which otherwise has to exist. */
  readonly access?: 'reads' | 'makes'
}

/** Has the running server do it, which holds the archive; opens the archive itself where none runs. */
export async function runOnArchive <T>({ route, request, work, access: only }: Operation<T>, flags: ArchiveFlags, { terminal, signal }: ServerContext): Promise<T> {
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, route, { body: request, withinMs: Infinity, signal })
  if (answer !== undefined) return answer as T
  if (flags.archive === undefined) {
    throw new FileSyncError('USAGE', `No server runs with the state directory ${stateDir}. Start it, or say where the archive is: --archive DIR.`)
  }
  const init = { root: flags.archive, allowNetworkDisk: flags.allowNetworkDisk === true, keepMs: Infinity, deletions: 'archive', clock: systemClock, signal } as const
  const archive = await (only === 'makes' ? openKnownArchive({ ...init, stateDir, accept: false }) : openArchive({ ...init, mustExist: true, mayBeReadOnly: only === 'reads' }))
  try {
    if (archive.isReadOnly && flags.quiet !== true) terminal.stderr.write(READ_ONLY)
    return await work(archive, request)
  } finally {
    await archive.close()
  }
}
