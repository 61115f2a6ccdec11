import { connectTls, loadOrCreateIdentity, nodeCrypto, openPeers, openTokens } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { parseEnrollmentToken, provePairing } from '@filesync/identity'
import { ALPN_PAIR, ALPN_SYNC } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { askControl } from '@filesync/program/node'
import { EventTail } from './event-tail.ts'
import { ended, pushTree } from './hostile-ground.ts'
import type { RunningServer, Stage } from './programs.ts'

export interface CrowdInit {
  /** How many clients come at once. */
  readonly clients: number
  /** Addresses of the server in this network namespace, one for each client. Linux connects to an own address from the same address. */
  readonly addresses?: readonly string[]
}

export interface CrowdReport {
  /** In the order in which the server put them into its queue. */
  readonly arrived: readonly string[]
  /** In the order in which they had their turn. */
  readonly turns: readonly string[]
  /** In the order in which they were done. */
  readonly served: readonly string[]
  /** What became of each that was not served. */
  readonly failed: readonly string[]
  /** From the first connection until all were paired. */
  readonly enrollMs: number
  /** From the first connection to the last goodbye. */
  readonly durationMs: number
  /** Memory of the server after the pairing, with all clients in its queue, and the most it had. */
  readonly idleBytes: number
  readonly waitingBytes: number
  readonly peakBytes: number
  /** Processor time of the server, from the first connection to the last goodbye. */
  readonly serverCpuMs: number
}

interface CrowdClient {
  readonly name: string
  readonly identity: Identity
  readonly address: string
}

const IDENTITIES_AT_ONCE = 16
const LOOPBACK = '127.0.0.1'
const TOKEN_TTL_MS = 600_000

/**
 * Many clients at once against one real server: each with its own key enrolls with one token, and then, all at once again, has its
 * own TLS connection, the client's own session, and a tree of two files. All run in this process; as processes of their own they
 * would take gigabytes.
 */
export async function crowd (stage: Stage, { clients, addresses }: CrowdInit): Promise<CrowdReport> {
  const crowded = await makeClients(stage, clients, addresses)
  const server = await stage.startServer('server', [
    '--metrics', `${LOOPBACK}:0`, '--interval', '3600', ...addresses === undefined ? [] : ['--bind', '0.0.0.0'],
  ])
  const enrollMs = await enroll(server, crowded)
  const port = server.listening.metricsPort ?? 0
  const before = await metricsOf(port)
  const told = await EventTail.open(server.stateDir)
  const arrived = new Set<unknown>()
  const waiting = told.until(({ event, client }) => {
    if (event === 'waiting' || event === 'turn') arrived.add(client)
    return arrived.size === clients
  }).then(async () => await metricsOf(port))
  const startMs = performance.now()
  const served: string[] = []
  const failed: string[] = []
  let peakBytes = before.bytes
  await Promise.all(crowded.map(async client => {
    const taken = await visit(server, client)
    if (taken === 'OK') served.push(client.name)
    else failed.push(`${client.name}: ${taken}`)
    if (served.length % Math.ceil(clients / 8) === 0) peakBytes = Math.max(peakBytes, (await metricsOf(port)).bytes)
  }))
  const durationMs = performance.now() - startMs
  const after = await metricsOf(port)
  const status = await askControl(server.stateDir, 'GET /status') as { disk: { files: number } }
  if (status.disk.files !== 2 * served.length) throw new Error(`the archive has ${status.disk.files} files of ${served.length} clients`)
  if (served.length > 0) await told.until(({ event, area }) => event === 'synced' && area === served.at(-1))
  told.close()
  const waitingBytes = failed.length > 0 ? NaN : (await waiting).bytes
  const named = (...events: readonly string[]): string[] => told.events.filter(({ event }) => events.includes(String(event)))
    .map(({ client }) => String(client))
  return {
    arrived: [...new Set(named('waiting', 'turn'))], turns: named('turn'), served, failed, enrollMs, durationMs,
    idleBytes: before.bytes, waitingBytes, peakBytes: Math.max(peakBytes, after.bytes, waitingBytes),
    serverCpuMs: after.cpuMs - before.cpuMs,
  }
}

/** One push of a client. Resolves to OK, or to what became of it. */
async function visit (server: RunningServer, client: CrowdClient): Promise<string> {
  const { name } = client
  const connection = await dial(server, client, ALPN_SYNC).then(channel => channel.connection, (error: unknown) => error as Error)
  if (connection instanceof Error) return connection.message
  const taken = await ended(connection, pushTree(connection, { [`of ${name}`]: name, below: { same: 'for all' } }))
  return typeof taken === 'string' || taken.result !== 'OK' ? JSON.stringify(taken) : 'OK'
}

/** Pairs all clients at once, with one token. Returns how long it took. */
async function enroll (server: RunningServer, clients: readonly CrowdClient[]): Promise<number> {
  const { id } = await loadOrCreateIdentity(server.stateDir)
  const { token } = await openTokens(server.stateDir).create(id, { uses: clients.length, ttlMs: TOKEN_TTL_MS })
  const secret = { kind: 'token', token: parseEnrollmentToken(token) } as const
  const startMs = performance.now()
  await Promise.all(clients.map(async client => {
    const channel = await dial(server, client, ALPN_PAIR)
    await provePairing(channel, { crypto: nodeCrypto, secret, name: client.name, remember: async () => { /* nothing needs it */ } })
    await channel.connection.close()
  }))
  const paired = (await openPeers(server.stateDir).list()).length
  if (paired !== clients.length) throw new Error(`${paired} of ${clients.length} clients were paired`)
  return performance.now() - startMs
}

async function dial (
  server: RunningServer, { identity, address }: CrowdClient, alpn: typeof ALPN_SYNC | typeof ALPN_PAIR
): ReturnType<typeof connectTls> {
  const signal = new AbortController().signal
  return await connectTls({ identity, address, port: server.listening.port, alpn, clock: systemClock, signal })
}

async function makeClients (stage: Stage, count: number, addresses: readonly string[] = []): Promise<readonly CrowdClient[]> {
  const clients: CrowdClient[] = []
  const due = Array.from({ length: count }, (_, n) => n)
  await Promise.all(Array.from({ length: IDENTITIES_AT_ONCE }, async () => {
    for (let n = due.shift(); n !== undefined; n = due.shift()) {
      const name = `client-${String(n).padStart(4, '0')}`
      clients.push({ name, identity: await loadOrCreateIdentity(stage.path(name)), address: addresses[n] ?? LOOPBACK })
    }
  }))
  return clients
}

async function metricsOf (port: number): Promise<{ readonly bytes: number, readonly cpuMs: number }> {
  const text = await (await fetch(`http://${LOOPBACK}:${port}/metrics`)).text()
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'mu').exec(text)?.[1])
  return { bytes: value('process_resident_memory_bytes'), cpuMs: value('process_cpu_seconds_total') * 1000 }
}
