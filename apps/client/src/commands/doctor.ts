import { diagnose } from '@filesync/discovery/node'
import { describeFinding, jsonLine } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import { canConnect } from '@filesync/program/node'
import { connectTls } from '@filesync/identity/node'
import type { PinnedServer } from '@filesync/identity'
import { ALPN_SYNC, asFileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openClientState } from '../client-state.ts'
import type { ClientState } from '../client-state.ts'
import { greetServer } from '../greet.ts'
import { stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import { SOFTWARE } from '../software.ts'
import type { CommandContext } from './push.ts'

/** `filesync-client doctor`: what keeps this client from its server, with the fix. Resolves with the exit code: 1 with a fault. */
export async function doctor (flags: ServerFlags, { terminal, signal }: CommandContext): Promise<number> {
  let faults = 0
  for await (const finding of examine(flags, await openClientState(stateDirOf(flags, terminal)), signal)) {
    if (finding.level === 'fault') faults++
    if (flags.quiet === true && finding.level === 'ok') continue
    terminal.stdout.write(flags.json === true ? jsonLine(finding) : `${describeFinding(finding)}\n`)
  }
  return faults > 0 ? 1 : 0
}

async function * examine (flags: ServerFlags, state: ClientState, signal: AbortSignal): AsyncGenerator<DoctorFinding, void, undefined> {
  const pinned = await state.servers.list()
  if (pinned.length === 0) {
    yield { check: 'pairing', level: 'fault', what: 'This client is not paired with a server.', fix: 'run "filesync-server pair" on the server, then "filesync-client pair" here' }
  }
  const expected = expectedServer(flags, pinned)
  yield * diagnose({
    role: 'client',
    clock: systemClock,
    signal,
    reach: canConnect,
    ...(expected !== undefined && { expected }),
    ...(flags.interface !== undefined && { interfaces: flags.interface }),
  })
  if (expected !== undefined && pinned.length > 0) yield await proveServer(state, { pinned, ...expected }, signal)
}

function expectedServer (flags: ServerFlags, pinned: readonly PinnedServer[]): { readonly address: string, readonly port: number } | undefined {
  if (flags.server !== undefined) return { address: flags.server.host, port: flags.server.port }
  const known = pinned.find(({ lastAddress, lastPort }) => lastAddress !== undefined && lastPort !== undefined)
  return known?.lastAddress === undefined || known.lastPort === undefined ? undefined : { address: known.lastAddress, port: known.lastPort }
}

/** Goes as far as a session goes before it takes a place in the queue. */
async function proveServer (
  { identity }: ClientState, { address, port, pinned }: { address: string, port: number, pinned: readonly PinnedServer[] }, signal: AbortSignal,
): Promise<DoctorFinding> {
  const where = `${address}:${port}`
  try {
    const { connection, peerId } = await connectTls({ identity, address, port, alpn: ALPN_SYNC, clock: systemClock, signal })
    const server = pinned.find(({ id }) => id === peerId)
    try {
      if (server === undefined) {
        return { check: 'identity', level: 'fault', what: `What answers at ${where} is not a server that this client is paired with.`, fix: 'check the address; if the server was set up anew, run "filesync-client forget" and pair again' }
      }
      await greetServer(connection, SOFTWARE)
      return { check: 'identity', level: 'ok', what: `${server.name} at ${where} has proven who it is, and knows this client.` }
    } finally {
      await connection.close()
    }
  } catch (error) {
    const { message } = asFileSyncError(error)
    return { check: 'identity', level: 'fault', what: `The server at ${where} does not let this client in: ${message}`, fix: 'do what the message says' }
  }
}
