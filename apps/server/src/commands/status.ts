import { jsonLine, printable } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { stateDirOf } from '../settings.ts'
import type { CommonFlags } from '../settings.ts'
import type { CommandContext } from './start.ts'

/** What the running server says of itself. */
export interface Status {
  readonly name: string
  readonly port: number
  readonly discovery: boolean
  readonly archive: string
  readonly pairing: boolean
  readonly active: readonly string[]
  readonly queued: readonly string[]
}

/** `filesync-server status`. */
export async function showStatus (flags: CommonFlags, { terminal }: CommandContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const status = await askControl(stateDir, 'GET /status') as Status | undefined
  if (status === undefined) {
    throw new FileSyncError('SERVER_UNREACHABLE', `No server runs with the state directory ${stateDir}. Start it first, or name its directory with --state-dir.`)
  }
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(status))
    return
  }
  const clients = (names: readonly string[]): string => names.length === 0 ? 'none' : names.map(printable).join(', ')
  terminal.stdout.write([
    `${printable(status.name)} on port ${status.port}${status.discovery ? '' : ', not discoverable'}${status.pairing ? ', pairing is open' : ''}`,
    `archive   ${printable(status.archive)}`,
    `serving   ${clients(status.active)}`,
    `waiting   ${clients(status.queued)}`,
    '',
  ].join('\n'))
}
