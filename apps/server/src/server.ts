import type { RebuildProgress, ReopeningArchive } from '@filesync/archive'
import { announceServer } from '@filesync/discovery/node'
import type { Announcer } from '@filesync/discovery/node'
import { formatDeviceId, idPrefix, PairingDesk } from '@filesync/identity'
import type { DeviceId, PeerBook } from '@filesync/identity'
import { listenTls, loadOrCreateIdentity, nodeCrypto, openAuditLog, openPeers, openTokens } from '@filesync/identity/node'
import type { Identity, Listener, Refusal } from '@filesync/identity/node'
import { formatCount, printable } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { serveControl } from '@filesync/program/node'
import { ALPN_PAIR, formatSize } from '@filesync/protocol'
import type { FileSyncError } from '@filesync/protocol'
import { localZone, systemClock } from '@filesync/protocol/node'
import { openSigner } from '@filesync/transfer/node'
import type { Signer } from '@filesync/transfer/node'
import { archiveRoutes } from './archive/archive-operations.ts'
import { controlRoutes } from './status/control-routes.ts'
import { Health } from './status/health.ts'
import { openServerArchive } from './archive/known-archive.ts'
import { startLegacy } from './legacy/start-legacy.ts'
import type { LegacyListener } from './legacy/listen.ts'
import { Monitor } from './status/monitor.ts'
import { Schedule } from './schedule/schedule.ts'
import { SessionQueue } from './schedule/session-queue.ts'
import type { ServerSettings } from './settings.ts'
import { SharedLimit } from './schedule/shared-limit.ts'
import { VERSION } from './software.ts'
import { SyncSessions } from './sync-sessions.ts'
import { Upkeep } from './archive/upkeep.ts'

/** How many clients may wait; each holds one idle connection. */
const MAX_WAITING = 1000
/** How long sessions may take to commit what they have, before their connections are closed under them. */
const SETTLE_WITHIN_MS = 2_500

/** A server that is up. */
export interface RunningServer {
  readonly port: number
  readonly id: string
  readonly discovery: boolean
  /** Where the original's protocol is spoken. */
  readonly legacyPort: number | undefined
  readonly metricsPort: number | undefined
  /** Tells the clients, commits what is under way, and resolves when everything is closed. */
  close (): Promise<void>
}

/** Puts a server together and starts it. Throws what keeps it from running: STATE_IN_USE, PORT_UNAVAILABLE and the like. */
export async function startServer (settings: ServerSettings, log: EventLog): Promise<RunningServer> {
  const server = new Server(settings, log)
  try {
    await server.start()
    return server
  } catch (error) {
    await server.close()
    throw error
  }
}

class Server implements RunningServer {
  readonly #settings: ServerSettings
  readonly #log: EventLog
  readonly #stop = new AbortController()
  readonly #queue: SessionQueue
  readonly #schedule: Schedule
  readonly #limit: SharedLimit | undefined
  /** Closed in the reverse order of their opening. */
  readonly #open: { close (): Promise<void> }[] = []
  #sessions: SyncSessions | undefined
  #listener: Listener | undefined
  #announcer: Announcer | undefined
  #legacy: LegacyListener | undefined
  #identity: Identity | undefined
  #monitor: Monitor | undefined
  #metricsPort: number | undefined
  readonly #startedAt: string = new Date().toISOString()

  constructor (settings: ServerSettings, log: EventLog) {
    this.#settings = settings
    this.#log = (event, text) => {
      this.#monitor?.note(event)
      log(event, text)
    }
    this.#queue = new SessionQueue({ maxActive: settings.maxSessions, maxWaiting: MAX_WAITING, clock: systemClock })
    this.#schedule = new Schedule({ intervalMs: settings.intervalMs, windows: settings.windows, zone: localZone, clock: systemClock, random: Math.random })
    this.#limit = settings.limitBytesPerSecond === undefined ? undefined : new SharedLimit(settings.limitBytesPerSecond, systemClock)
  }

  get port (): number {
    return this.#listener?.port ?? 0
  }

  get id (): string {
    return this.#identity === undefined ? '' : formatDeviceId(this.#identity.id)
  }

  get legacyPort (): number | undefined {
    return this.#legacy?.port
  }

  get metricsPort (): number | undefined {
    return this.#metricsPort
  }

  get discovery (): boolean {
    return this.#announcer?.listening === true
  }

  async start (): Promise<void> {
    const { stateDir, archiveRoot, acceptArchive, allowNetworkDisk, keepMs, deletions, quotaBytes, reserveBytes } = this.#settings
    const clock = systemClock
    const signal = this.#stop.signal
    const identity = await loadOrCreateIdentity(stateDir)
    this.#identity = identity
    const peers = openPeers(stateDir, clock)
    const tokens = openTokens(stateDir, clock)
    // A damaged book would turn every client away, each with a riddle, while the server seems to run.
    await Promise.all([peers.list(), tokens.list()])
    const desk = new PairingDesk({
      serverId: identity.id,
      serverName: this.#settings.name,
      peers,
      tokens,
      audit: openAuditLog(stateDir, clock),
      crypto: nodeCrypto,
      clock,
      takenAreas: async () => await archive.takenNames(),
      onPaired: ({ area, id }, { remoteAddress: address }) => {
        this.#log({ event: 'paired', area, id: formatDeviceId(id), address }, `paired with ${area} at ${address}`)
      },
    })
    const archive = this.#keep(await openServerArchive({
      stateDir, accept: acceptArchive, allowNetworkDisk, root: archiveRoot, keepMs, deletions, clock, signal, onRebuild: rebuilding => { logRebuilding(rebuilding, this.#log) }, ...(quotaBytes !== undefined && { quotaBytes }), ...(reserveBytes !== undefined && { reserveBytes }),
    }, this.#log))
    // A thread of its own: a session that needs a signature does not wait for a terabyte that nobody waits for.
    const upkeep = this.#keep(this.#lookAfter(archive, this.#keep(openSigner())))
    const monitor = this.#monitor = this.#keep(await Monitor.open(stateDir, clock, this.#log))
    await this.#openControl({ archive, desk, peers, monitor })
    const sessions = this.#sessions = new SyncSessions({
      settings: this.#settings, archive, signer: this.#keep(openSigner()), queue: this.#queue, schedule: this.#schedule, limit: this.#limit, monitor, log: this.#log, signal,
      onEnd: area => { upkeep.schedule(area) },
    })
    this.#listener = this.#keep(await this.#listen({ identity, peers, desk, sessions }))
    if (this.#settings.legacyPort !== undefined) this.#legacy = this.#keep(await startLegacy(archive, {
      ...this.#settings, legacyPort: this.#settings.legacyPort, limit: this.#limit, nextSyncInMs: () => this.#schedule.nextSyncInMs(), log: this.#log, signal,
    }))
    if (this.#settings.discovery) this.#announcer = this.#keep(await this.#announce(identity, desk))
  }

  async close (): Promise<void> {
    const failures: unknown[] = []
    await this.#sessions?.stop(SETTLE_WITHIN_MS)
    for (let part = this.#open.pop(); part !== undefined; part = this.#open.pop()) {
      // Whatever goes wrong with one part, the archive behind it has to be closed.
      await part.close().catch((error: unknown) => { failures.push(error) })
    }
    this.#stop.abort()
    if (failures.length > 0) throw failures[0]
  }

  #keep <T extends { close (): Promise<void> }>(part: T): T {
    this.#open.push(part)
    return part
  }

  async #openControl ({ archive, desk, peers, monitor }: { archive: ReopeningArchive, desk: PairingDesk, peers: PeerBook, monitor: Monitor }): Promise<void> {
    const { name, archiveRoot, quotaBytes, stateDir, metrics } = this.#settings
    const { board, history, events } = monitor
    const health = new Health({
      archive, desk, peers, board, history, quotaBytes,
      queue: this.#queue,
      describe: () => ({ id: this.id, name, version: VERSION, port: this.port, discovery: this.discovery, archive: archiveRoot, startedAt: this.#startedAt }),
    })
    const endSessions = async (peer: DeviceId, error: FileSyncError): Promise<void> => { await this.#listener?.endSessions(peer, error) }
    this.#keep(await serveControl(stateDir, { ...controlRoutes({ desk, peers, health, events, endSessions, log: this.#log }), ...archiveRoutes(archive) }))
    if (metrics !== undefined) this.#metricsPort = this.#keep(await monitor.serveMetrics(metrics, health)).port
  }

  async #listen ({ identity, peers, desk, sessions }: { identity: Identity, peers: PeerBook, desk: PairingDesk, sessions: SyncSessions }): Promise<Listener> {
    return await listenTls({
      identity,
      port: this.#settings.port,
      bind: this.#settings.bind,
      clock: systemClock,
      signal: this.#stop.signal,
      peers,
      onSync: async (channel, peer) => {
        await peers.noteSeen(peer.id, channel.remoteAddress)
        await sessions.serve(channel, peer)
      },
      onPair: async channel => {
        const { peer: { area, id }, unconfirmed } = await desk.receive(channel)
        if (unconfirmed === undefined) return
        const { remoteAddress: address } = channel
        const { code, message } = unconfirmed
        this.#log(
          { event: 'pairing-unconfirmed', area, id: formatDeviceId(id), address, code, message },
          `${area} at ${address} is trusted, but did not say that it trusts this server (${message}). If it cannot push, pair it again; if you do not know it, run "filesync-server revoke ${area}".`,
        )
      },
      onRefused: refusal => { logRefusal(refusal, this.#log) },
      onLeftOut: ({ address, count }) => {
        this.#log({ event: 'refused-more', address, count }, `refused ${formatCount(count, 'more connection')} from ${describeAddress(address)}`)
      },
      onEachRefused: ({ code }) => { this.#monitor?.noteRefusal(code) },
    })
  }

  #lookAfter (archive: ReopeningArchive, signer: Signer): Upkeep {
    return new Upkeep({
      archive,
      clock: systemClock,
      sign: async (fd, sizeBytes, signal) => await signer.sign(fd, sizeBytes, signal),
      onDone: ({ area, pruned, externalChanges: handMade }) => {
        if (pruned > 0) this.#log({ event: 'pruned', area, versions: pruned }, `${area}: removed ${formatCount(pruned, 'version')} past keeping`)
        if (handMade.length > 0) this.#log({ event: 'hand-made', area, paths: handMade.length }, `${area}: ${formatCount(handMade.length, 'path was', 'paths were')} changed by others, such as ${printable(handMade[0] ?? '')}; the next sync puts that right`)
      },
      onFailed: (area, { code, message }) => { this.#log({ event: 'upkeep-failed', area, code, message }, `${area}: looking after it failed: ${message}`) },
    })
  }

  async #announce (identity: Identity, desk: PairingDesk): Promise<Announcer> {
    const { interfaces, bind } = this.#settings
    return await announceServer({
      tlsPort: this.port,
      idPrefix: idPrefix(identity.id),
      isPairing: () => desk.isOpen,
      ...(this.#legacy !== undefined && { legacyPort: this.#legacy.port }),
      clock: systemClock,
      signal: this.#stop.signal,
      onProblem: error => { this.#log({ event: 'discovery-problem', message: error.message }, error.message) },
      ...(interfaces !== undefined && { interfaces }),
      ...(bind !== undefined && { bind }),
    })
  }
}

/** One line for a connection that came to nothing; of many from one address some are told, and the next one counts the others. */
function logRefusal ({ remoteAddress: address, error: { code, message }, peerId, purpose, dropped }: Refusal, log: EventLog): void {
  const isPairing = purpose === ALPN_PAIR
  log(
    { event: isPairing ? 'pairing-failed' : 'refused', address, code, message, ...(peerId !== undefined && { id: formatDeviceId(peerId) }), ...(dropped > 0 && { leftOut: dropped }) },
    `${isPairing ? 'pairing failed with' : 'refused'} ${describeAddress(address)}: ${message}${dropped > 0 ? ` (and ${dropped} times before)` : ''}`,
  )
}

function describeAddress (address: string): string {
  return address === '' ? 'a connection' : address
}

function logRebuilding (rebuilding: RebuildProgress, log: EventLog): void {
  const { area } = rebuilding
  if (rebuilding.state === 'begun') {
    log({ event: 'index-lost', area }, `${area}: the index knows nothing of what is stored, so all of it is read; its client waits`)
  } else {
    const { files, bytes } = rebuilding
    log({ event: 'index-made', area, files, bytes }, `${area}: the index is made again, of ${formatCount(files, 'file')}, ${formatSize(bytes)}`)
  }
}
