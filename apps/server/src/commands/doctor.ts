import { diagnose } from '@filesync/discovery/node'
import type { DiscoveryFinding } from '@filesync/discovery'
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

/** A server on this machine answers within milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000

/** What findings of discovery may tell the user to use. */
const DISCOVERY_FLAGS = { server: '--server', interface: '--interface', bind: '--bind' }

/** `filesync-server doctor`: what keeps clients from finding this server. Resolves with the exit code: 1 if there is a fault. */
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
  // Only a server that runs is known to have a key, and this command must not create one.
  const running = status === undefined ? undefined : { ...status, identity: await loadOrCreateIdentity(stateDir) }
  yield describeServer(status)
  let own: DiscoveryFinding['server']
  const findings = diagnose({
    role: 'server', flags: DISCOVERY_FLAGS, clock: systemClock, signal, reach: canConnect, interfaces: flags.interface, bind: flags.bind,
  })
  for await (const finding of findings) {
    const isOwn = running !== undefined && finding.server?.idPrefix === idPrefix(running.identity.id)
    if (isOwn && finding.check === 'offer') own ??= finding.server
    yield finding
  }
  if (running === undefined) return
  if (own !== undefined) yield await verifyOwnIdentity(running.identity, own, signal)
  else if (running.discovery) yield offerNotReceived(running)
}

function describeServer (status: Status | undefined): DoctorFinding {
  if (status === undefined) {
    return {
      check: 'server',
      level: 'fault',
      what: 'No server is running with this state directory.',
      fix: 'start it with "filesync-server start", or give its state directory with --state-dir',
    }
  }
  const { name, port, discovery } = status
  if (discovery) return { check: 'server', level: 'ok', what: `${name} is running on port ${port} and answers clients that search for it.` }
  return {
    check: 'server',
    level: 'warning',
    what: `${name} is running on port ${port}, but clients cannot find it.`,
    fix: 'start it without --no-discovery and with a network interface that is up, or start clients with --server HOST:PORT',
  }
}

function offerNotReceived ({ name, port }: Status): DoctorFinding {
  return {
    check: 'offer',
    level: 'fault',
    what: `${name} is running, but not even this machine receives its OFFER.`,
    fix: `allow UDP from and to port 9999, run doctor with the server's --interface and --bind, or give clients --server HOST:${port}`,
  }
}

/** Checks, as each client will, that the program at the offered address holds the key of this server. */
async function verifyOwnIdentity (
  identity: Identity, { address, port }: NonNullable<DiscoveryFinding['server']>, signal: AbortSignal,
): Promise<DoctorFinding> {
  const where = `${address} port ${port}`
  try {
    const { connection } = await connectTls({
      identity,
      address,
      port,
      alpn: ALPN_SYNC,
      expect: [{ id: identity.id, name: 'this server' }],
      clock: systemClock,
      signal,
      timeoutMs: CONNECT_TIMEOUT_MS,
    })
    await connection.close()
    return { check: 'identity', level: 'ok', what: `The program at ${where} proved that it is this server.` }
  } catch (error) {
    signal.throwIfAborted()
    const { message } = asFileSyncError(error)
    return {
      check: 'identity',
      level: 'fault',
      what: `The program at ${where} is not this server: ${message.replaceAll(/\s*\n\s*/gu, ' ')}`,
      fix: `find out which program listens there ("ss -ltnp sport = ${port}"), or start the server with another --port`,
    }
  }
}
