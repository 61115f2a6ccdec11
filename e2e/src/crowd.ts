import { writeFile } from 'node:fs/promises'
import { connectTls, loadOrCreateIdentity } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { ALPN_SYNC } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { askControl } from '@filesync/program/node'
import { EventTail } from './event-tail.ts'
import { ended, pushTree } from './hostile-ground.ts'
import type { Stage } from './programs.ts'

export interface CrowdInit {
  /** How many clients come at once. */
  readonly clients: number
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
  /** From the first connection to the last goodbye. */
  readonly durationMs: number
  /** Memory of the server with nobody in line, and the most it had. */
  readonly idleBytes: number
  readonly peakBytes: number
}

const MAX_CLIENT_IDS_AT_ONCE = 16

/**
 * Many clients at once against one real server: each its own key and TLS connection, the client's own session, and a tree of
 * two files. All run in this process; as processes of their own they would take gigabytes.
 */
export async function crowd (stage: Stage, { clients }: CrowdInit): Promise<CrowdReport> {
  const identities = await makeIdentities(stage, clients)
  const server = await stage.startServer('server', ['--metrics', '127.0.0.1:0', '--interval', '3600'])
  const { id } = await loadOrCreateIdentity(server.stateDir)
  const port = server.listening.metricsPort ?? 0
  const idleBytes = await memoryOf(port)
  const told = await EventTail.open(server.stateDir)
  const served: string[] = []
  const failed: string[] = []
  let peakBytes = idleBytes
  const startedMs = performance.now()
  const visit = async ([name, identity]: readonly [string, Identity]): Promise<void> => {
    const signal = new AbortController().signal
    const { connection } = await connectTls({
      identity,
      address: '127.0.0.1',
      port: server.listening.port,
      alpn: ALPN_SYNC,
      expect: [{ id, name: 'server' }],
      clock: systemClock,
      signal,
    })
    const taken = await ended(
      connection,
      pushTree(connection, { [`of ${name}`]: name, below: { same: 'for all' } }, {})
    )
    if (typeof taken === 'string' || taken.result !== 'OK') failed.push(`${name}: ${JSON.stringify(taken)}`)
    else served.push(name)
    if (served.length === Math.floor(clients / 4)) peakBytes = Math.max(peakBytes, await memoryOf(port))
  }
  await Promise.all([...identities].map(visit))
  peakBytes = Math.max(peakBytes, await memoryOf(port))
  const durationMs = performance.now() - startedMs
  const status = await askControl(server.stateDir, 'GET /status') as { disk: { files: number } }
  if (status.disk.files !== 2 * served.length) throw new Error(`the archive has ${status.disk.files} files of ${served.length} clients`)
  await told.until(({ event, area }) => event === 'synced' && area === served.at(-1))
  told.close()
  const named = (...events: readonly string[]): string[] => told.events.filter(({ event }) => events.includes(String(event)))
    .map(({ client }) => String(client))
  const arrived = [...new Set(named('waiting', 'turn'))]
  return { arrived, turns: named('turn'), served, failed, durationMs, idleBytes, peakBytes }
}

/** Keys for all, known to the server before it starts. */
async function makeIdentities (stage: Stage, clients: number): Promise<ReadonlyMap<string, Identity>> {
  const identities = new Map<string, Identity>()
  const names = Array.from({ length: clients }, (_, i) => `client-${String(i).padStart(4, '0')}`)
  const due = [...names]
  await loadOrCreateIdentity(stage.path('server'))
  await Promise.all(Array.from({ length: MAX_CLIENT_IDS_AT_ONCE }, async () => {
    for (let name = due.shift(); name !== undefined; name = due.shift()) identities.set(name, await loadOrCreateIdentity(stage.path(name)))
  }))
  // Admitting one after the other writes the whole book each time.
  const peers = names.map(area => ({ id: identities.get(area)?.id, area, addedAtMs: Date.now(), via: 'manual', minProtocol: 2 }))
  await writeFile(stage.path('server', 'peers.json'), JSON.stringify({ version: 1, peers }), { mode: 0o600 })
  return new Map(names.map(name => [name, identities.get(name)]).filter((entry): entry is [string, Identity] => entry[1] !== undefined))
}

async function memoryOf (port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/mu.exec(text)?.[1])
}
