import { basename } from 'node:path'
import { openPeers } from '@filesync/identity/node'
import { formatCount, jsonLine, printable, problemLines } from '@filesync/program'
import { writeReport } from '@filesync/program/node'
import { formatSize } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { adopt as adoptCopy } from '../archive/archive-operations.ts'
import type { AdoptReport } from '../archive/archive-operations.ts'
import { LEGACY_ROOT } from '../legacy/area-name.ts'
import { stateDirOf } from '../settings.ts'
import { runOnArchive, PROBLEMS_EXIT } from './archive.ts'
import type { ArchiveFlags, Operation } from './archive.ts'
import type { ServerContext } from './start.ts'

/**
 * `filesync-server adopt`: imports an existing copy as a folder of a client, so that the client need not send it. Resolves with the exit
 * code.
 *
 * @param target `CLIENT/FOLDER`, or `CLIENT` for a folder with the name of the directory
 */
export async function adopt (
  [target, directory]: readonly [string, string], flags: ArchiveFlags, context: ServerContext,
): Promise<number> {
  const peers = await openPeers(stateDirOf(flags, context.terminal), systemClock).list()
  const { client, folder } = parseTarget(target, directory)
  const isPaired = peers.some(({ area }) => area === client)
  const request = { client, from: directory, isPaired, ...(folder !== undefined && { folder }) }
  const operation: Operation<AdoptReport> = {
    route: 'POST /adopt',
    request,
    work: async (archive, body) => await adoptCopy(archive, body, context.signal),
    access: 'create',
  }
  const report = await runOnArchive(operation, flags, context)
  const { stdout } = context.terminal
  if (flags.json === true) stdout.write(jsonLine(report))
  else writeReport(context.terminal, describe(report, request.from), { quiet: flags.quiet, isTrouble: report.problemCount > 0 })
  return report.problemCount > 0 ? PROBLEMS_EXIT : 0
}

function parseTarget (target: string, directory: string): { readonly client: string, readonly folder: string | undefined } {
  // A client of the original program pushes one directory, which is its whole area.
  if (target.startsWith(`${LEGACY_ROOT}/`)) return { client: target, folder: undefined }
  const at = target.indexOf('/')
  return at < 0 ? { client: target, folder: basename(directory) } : { client: target.slice(0, at), folder: target.slice(at + 1) }
}

function describe ({ client, folder, files, bytes, held, problems, problemCount }: AdoptReport, from: string): string {
  const imported = `${formatCount(files, 'file')}, ${formatSize(bytes)}`
  const what = folder === null ? client : `${client}/${folder}`
  const lines = [`${printable(what)}: imported ${imported} from ${printable(from)}. The next push sends only what differs or is missing.`]
  if (held > 0) lines.push(`${formatCount(held, 'entry was', 'entries were')} in the archive already and kept.`)
  if (problemCount > 0) {
    lines.push(`${formatCount(problemCount, 'entry was', 'entries were')} not imported:`, ...problemLines({ problems, problemCount }))
  }
  return `${lines.join('\n')}\n`
}
