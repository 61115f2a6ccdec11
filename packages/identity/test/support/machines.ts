import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ALPN_SYNC } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { onTestFinished } from 'vitest'
import { PairingDesk } from '../../src/index.ts'
import type { AuditEvent, PeerBook, ServerBook, TokenBook } from '../../src/index.ts'
import type { PairingDeskInit } from '../../src/pairing-desk.ts'
import {
  connectTls,
  listenTls,
  loadOrCreateIdentity,
  nodeCrypto,
  openAuditLog,
  openPeers,
  openServers,
  openTokens,
} from '../../src/node/index.ts'
import type { Channel, Identity, Listener, RefusedConnection } from '../../src/node/index.ts'
import type { ConnectInit } from '../../src/node/connect.ts'
import type { ListenInit } from '../../src/node/listen.ts'

export const HOST = '127.0.0.1'

/** A directory that is gone when the test is over. */
export async function temporaryDir (): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'filesync-identity-'))
  onTestFinished(async () => { await rm(path, { recursive: true, force: true }) })
  return path
}

export interface ServerMachine {
  readonly stateDir: string
  readonly identity: Identity
  readonly peers: PeerBook
  readonly tokens: TokenBook
  readonly desk: PairingDesk
  readonly events: AuditEvent[]
  readonly refusals: RefusedConnection[]
  readonly listener: Listener
}

export interface ServerSetup {
  readonly clock?: Clock
  readonly listen?: Partial<ListenInit>
  readonly desk?: Partial<PairingDeskInit>
}

/** A server with its state in a directory of its own, listening on loopback. A session says READY by sending HELLO. */
export async function startServer (setup: ServerSetup = {}): Promise<ServerMachine> {
  const stateDir = await temporaryDir()
  const clock = setup.clock ?? systemClock
  const identity = await loadOrCreateIdentity(stateDir)
  const tokens = openTokens(stateDir, clock)
  const events: AuditEvent[] = []
  const refusals: RefusedConnection[] = []
  const log = openAuditLog(stateDir, clock)
  const audit = {
    async record (event: AuditEvent) {
      events.push(event)
      await log.record(event)
    },
  }
  const peers = openPeers(stateDir, clock)
  const desk = new PairingDesk({
    serverId: identity.id, serverName: 'nas', peers, tokens, audit, crypto: nodeCrypto, clock, refusalDelayMs: 0, ...setup.desk,
  })
  const listener = await listenTls({
    identity, port: 0, bind: HOST, clock, signal: new AbortController().signal, peers,
    onSync: async ({ connection }) => { await greet(connection) },
    onPair: async channel => { await desk.serve(channel) },
    onRefused: refusal => { refusals.push(refusal) },
    ...setup.listen,
  })
  onTestFinished(async () => { await listener.close() })
  return { stateDir, identity, peers, tokens, desk, events, refusals, listener }
}

export interface ClientMachine {
  readonly stateDir: string
  readonly identity: Identity
  readonly servers: ServerBook
  connect (port: number, how: Partial<ConnectInit> & Pick<ConnectInit, 'alpn'>): Promise<Channel>
}

/** A client with its state in a directory of its own. */
export async function makeClient (): Promise<ClientMachine> {
  const stateDir = await temporaryDir()
  const identity = await loadOrCreateIdentity(stateDir)
  const servers = openServers(stateDir)
  return {
    stateDir, identity, servers,
    async connect (port, how) {
      const channel = await connectTls({ identity, address: HOST, port, clock: systemClock, signal: new AbortController().signal, ...how })
      onTestFinished(async () => { await channel.connection.close() })
      return channel
    },
  }
}

/** One session: the server greets, and waits until the client ends it. */
async function greet (connection: Connection): Promise<void> {
  await connection.send({ type: 'HELLO', versions: [2], features: [], software: 'test' })
  await connection.receive(['HELLO'])
}

/** Whether the server lets this client have a session. Rejects with the server's reason. */
export async function openSession (client: ClientMachine, server: ServerMachine, how: Partial<ConnectInit> = {}): Promise<Channel> {
  const channel = await client.connect(server.listener.port, { alpn: ALPN_SYNC, expect: [{ id: server.identity.id, name: 'nas' }], ...how })
  await channel.connection.receive(['HELLO'])
  return channel
}

/** The code of the error that a promise rejects with; 'NOTHING' where it does not. */
export async function codeOf (work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'NOTHING',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error))
  )
}

/** Asks again until the answer is yes. The test's own time limit ends it. */
export async function until (holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise(resolve => { setImmediate(resolve) })
}
