import { diagnose } from '@filesync/discovery/node'
import type { Finding } from '@filesync/discovery'
import { idPrefix } from '@filesync/identity'
import { connectTls, loadOrCreateIdentity } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { describeFinding, jsonLine } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import { askControl, canConnect, digestFinding } from '@filesync/program/node'
import { ALPN_SYNC, asFileSyncError } from '@filesync/protocol'
import { digestEngine, systemClock } from '@filesync/protocol/node'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'
import type { Status } from '../status/health.ts'

export interface DoctorFlags extends ServerCommonFlags {
  readonly interface?: readonly string[]
  readonly bind?: string
}

/** A server of this machine answers in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000

/** `filesync-server doctor`: what keeps clients from finding this server, with the fix. Resolves with the exit code: 1 with a fault. */
export async function doctor (flags: DoctorFlags, { terminal, signal }: ServerContext): Promise<number> {
  const stateDir = stateDirOf(flags, terminal)
  let faults = 0
  for await (const finding of examine(flags, stateDir, signal)) {
    if (finding.level === 'fault') faults++
    if (flags.quiet === true && finding.level === 'ok') continue
    terminal.stdout.write(flags.json === true ? jsonLine(finding) : `${describeFinding(finding)}\n`)
  }
  return faults > 0 ? 1 : 0
}

async function * examine (flags: DoctorFlags, stateDir: string, signal: AbortSignal): AsyncGenerator<DoctorFinding, void, undefined> {
  yield digestFinding(digestEngine)
  const status = await askControl(stateDir, 'GET /status') as Status | undefined
  // Only a server that runs has a key for certain, and a doctor makes none.
  const running = status === undefined ? undefined : { ...status, identity: await loadOrCreateIdentity(stateDir) }
  yield describeServer(status)
  let own: Finding['server']
  for await (const finding of diagnose({ role: 'server', clock: systemClock, signal, reach: canConnect, interfaces: flags.interface, bind: flags.bind })) {
    if (finding.server !== undefined && running !== undefined && finding.server.idPrefix === idPrefix(running.identity.id)) {
      if (finding.check === 'offer') own ??= finding.server
    }
    yield finding
  }
  if (running === undefined) return
  if (own !== undefined) yield await verifyOwnIdentity(running.identity, own, signal)
  else if (running.discovery) yield offerNotReceived(running)
}

function describeServer (status: Status | undefined): DoctorFinding {
  if (status === undefined) {
    return { check: 'server', level: 'fault', what: 'No server runs with this state directory.', fix: 'start it with "filesync-server start", or name its directory with --state-dir' }
  }
  const { name, port, discovery } = status
  return discovery
    ? { check: 'server', level: 'ok', what: `${name} runs on port ${port} and answers clients that look for it.` }
    : { check: 'server', level: 'warning', what: `${name} runs on port ${port} but cannot be found.`, fix: 'start it without --no-discovery and with an interface that is up, or give clients --server HOST:PORT' }
}

function offerNotReceived ({ name, port }: Status): DoctorFinding {
  return {
    check: 'offer',
    level: 'fault',
    what: `${name} runs, but its OFFER does not come back even to this machine.`,
    fix: `allow UDP from and to port 9999, run this with the --interface and --bind that the server has, or give clients --server HOST:${port}`,
  }
}

/** Whether what answers on the port that is offered holds the key of this server, as each client will check. */
async function verifyOwnIdentity (identity: Identity, { address, port }: NonNullable<Finding['server']>, signal: AbortSignal): Promise<DoctorFinding> {
  const where = `${address} port ${port}`
  try {
    const { connection } = await connectTls({
      identity, address, port, alpn: ALPN_SYNC, expect: [{ id: identity.id, name: 'this server' }], clock: systemClock, signal, timeoutMs: CONNECT_TIMEOUT_MS,
    })
    await connection.close()
    return { check: 'identity', level: 'ok', what: `What answers at ${where} has proven to be this server.` }
  } catch (error) {
    signal.throwIfAborted()
    const { message } = asFileSyncError(error)
    return { check: 'identity', level: 'fault', what: `What answers at ${where} is not this server: ${message.replaceAll(/\s*\n\s*/gu, ' ')}`, fix: `find out who listens ("ss -ltnp sport = ${port}"), or start the server on another --port` }
  }
}
