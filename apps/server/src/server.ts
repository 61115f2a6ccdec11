import type { Area, ReopeningArchive } from '@filesync/archive'
import { announceServer } from '@filesync/discovery/node'
import type { Announcer } from '@filesync/discovery/node'
import { formatDeviceId, idPrefix, PairingDesk } from '@filesync/identity'
import type { PairedClient, Peer, PeerBook } from '@filesync/identity'
import { listenTls, loadOrCreateIdentity, nodeCrypto, openAuditLog, openPeers, openTokens } from '@filesync/identity/node'
import type { Identity, Listener } from '@filesync/identity/node'
import type { EventLog } from '@filesync/program'
import { serveControl } from '@filesync/program/node'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import { localZone, systemClock } from '@filesync/protocol/node'
import { openSigner } from '@filesync/transfer/node'
import type { Signer } from '@filesync/transfer/node'
import { archivedAreas, archiveRoutes } from './archive/archive-operations.ts'
import { controlRoutes } from './status/control-routes.ts'
import { Health } from './status/health.ts'
import { openServerArchive } from './archive/known-archive.ts'
import { startLegacy } from './legacy/start-legacy.ts'
import type { LegacyListener } from './legacy/listen.ts'
import { Monitor } from './status/monitor.ts'
import { PeerOperations } from './peers/peer-operations.ts'
import { peerRoutes } from './peers/peer-routes.ts'
import { RestoreDesk } from './restore/restore-desk.ts'
import { Schedule } from './schedule/schedule.ts'
import { SessionQueue } from './schedule/session-queue.ts'
import type { ServerSettings } from './settings.ts'
import { logMoreRefusals, logPaired, logRebuilding, logRefusal, logUpkeep } from './server-log.ts'
import { SharedLimit } from './schedule/shared-limit.ts'
import { VERSION } from './software.ts'
import { SyncSessions } from './sync-sessions.ts'
import { Upkeep } from './archive/upkeep.ts'

/** How many clients may wait; each holds one idle connection. */
const MAX_WAITING = 1000
/** How long sessions may take to commit what has arrived before their connections are closed. */
const COMMIT_WITHIN_MS = 2_500
/** Discovery announces no port below. */
const UNPRIVILEGED_PORT_MIN = 1024

/** A running server. */
export interface RunningServer {
  readonly port: number
  readonly id: string
  readonly discovery: boolean
  /** The port of the original protocol; undefined if it is off. */
  readonly legacyPort: number | undefined
  readonly metricsPort: number | undefined
  /** Ends all sessions, commits what has arrived, and resolves when everything is closed. */
  close (): Promise<void>
}

/** Starts a server. Throws STATE_IN_USE, STATE_INVALID, PORT_UNAVAILABLE, and what opening the archive throws. */
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

/** An area that was synced before. */
async function findArea (archive: ReopeningArchive, area: string): Promise<Area | undefined> {
  await archive.ensurePresent('path')
  return archive.areas().includes(area) ? await archive.area(area) : undefined
}

interface ControlledParts {
  readonly archive: ReopeningArchive
  readonly desk: PairingDesk
  readonly peers: PeerBook
  readonly monitor: Monitor
  readonly operations: PeerOperations
}

interface ListeningParts extends Pick<ControlledParts, 'desk' | 'peers' | 'operations'> {
  readonly identity: Identity
  readonly sessions: SyncSessions
}

class Server implements RunningServer {
  readonly #settings: ServerSettings
  readonly #log: EventLog
  readonly #stop = new AbortController()
  readonly #queue: SessionQueue
  readonly #schedule: Schedule
  readonly #limit: SharedLimit | undefined
  /** The parts that are open, closed in reverse order. */
  readonly #open: { close (): Promise<void> }[] = []
  #sessions: SyncSessions | undefined
  #listener: Listener | undefined
  #announcer: Announcer | undefined
  #legacy: LegacyListener | undefined
  #identity: Identity | undefined
  #monitor: Monitor | undefined
  #operations: PeerOperations | undefined
  #metricsPort: number | undefined
  readonly #startedAt: string = new Date().toISOString()

  constructor (settings: ServerSettings, log: EventLog) {
    this.#settings = settings
    this.#log = (event, text) => {
      this.#monitor?.note(event)
      log(event, text)
    }
    this.#queue = new SessionQueue({ maxActive: settings.maxSessions, maxWaiting: MAX_WAITING, clock: systemClock })
    const { intervalMs, windows, limitBytesPerSecond } = settings
    this.#schedule = new Schedule({ intervalMs, windows, zone: localZone, clock: systemClock, random: Math.random })
    this.#limit = limitBytesPerSecond === undefined ? undefined : new SharedLimit(limitBytesPerSecond, systemClock)
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
    const { stateDir, name, legacyPort, discovery, clientRestore } = this.#settings
    const clock = systemClock
    const signal = this.#stop.signal
    const identity = this.#identity = await loadOrCreateIdentity(stateDir)
    const peers = openPeers(stateDir, clock)
    const tokens = openTokens(stateDir, clock)
    // With a damaged book the server would seem to run, and refuse every client for no visible reason.
    await Promise.all([peers.list(), tokens.list()])
    const audit = openAuditLog(stateDir, clock)
    const desk = new PairingDesk({
      serverId: identity.id,
      serverName: name,
      peers,
      tokens,
      audit,
      crypto: nodeCrypto,
      clock,
      takenAreas: async () => await archive.takenNames(),
      archivedAreas: async () => archivedAreas(archive.areas(), await archive.takenNames()),
      onPaired: (paired, { remoteAddress }) => {
        this.#notePaired(paired, remoteAddress)
        // Without it, files with other times are sent although their content is there; nothing else depends on it.
        if (paired.note === 'CONTINUES') archive.inheritArea(paired.peer.area).catch(() => { /* the archive has logged it */ })
      },
    })
    const archive = this.#closeLater(await this.#openArchive())
    const restores = clientRestore ? new RestoreDesk(async area => await findArea(archive, area)) : undefined
    // Upkeep has a signer thread of its own, so that no session waits while upkeep signs a large file.
    const upkeep = this.#closeLater(this.#startUpkeep(archive, { signer: this.#closeLater(openSigner()), restores }))
    const monitor = this.#monitor = this.#closeLater(await Monitor.open(stateDir, clock, this.#log))
    const operations = this.#operations = new PeerOperations({
      peers, archive, history: monitor.history, log: this.#log,
      isConnected: peer => this.#sessions?.isConnected(peer) === true,
      endSessions: async (peer, error) => { await this.#listener?.endSessions(peer, error) },
    })
    await this.#openControl({ archive, desk, peers, monitor, operations })
    const sessions = this.#sessions = new SyncSessions({
      settings: this.#settings,
      archive,
      signer: this.#closeLater(openSigner()),
      queue: this.#queue,
      schedule: this.#schedule,
      limit: this.#limit,
      restores,
      audit,
      monitor,
      log: this.#log,
      signal,
      onEnd: area => { upkeep.schedule(area) },
    })
    void operations.settle()
    this.#listener = this.#closeLater(await this.#listen({ identity, peers, desk, sessions, operations }))
    if (legacyPort !== undefined) this.#legacy = this.#closeLater(await this.#startLegacy(archive, legacyPort))
    if (discovery && this.port < UNPRIVILEGED_PORT_MIN) this.#logPrivilegedPort()
    else if (discovery) this.#announcer = this.#closeLater(await this.#announce(identity, desk))
  }

  async close (): Promise<void> {
    const failures: unknown[] = []
    await this.#sessions?.stop(COMMIT_WITHIN_MS)
    for (let part = this.#open.pop(); part !== undefined; part = this.#open.pop()) {
      // If one part fails to close, the archive below it still has to be closed.
      await part.close().catch((error: unknown) => { failures.push(error) })
    }
    this.#stop.abort()
    if (failures.length > 0) throw failures[0]
  }

  #closeLater <T extends { close (): Promise<void> }>(part: T): T {
    this.#open.push(part)
    return part
  }

  /** Ends the sessions of a key that was replaced, and of a key that has another area now. */
  #notePaired (paired: PairedClient, address: string): void {
    const { peer, replaced, left } = paired
    logPaired(paired, address, this.#log)
    const taken = new FileSyncError('NOT_PAIRED', 'Another machine has taken over the files of this client.')
    if (replaced !== undefined) void this.#listener?.endSessions(replaced.id, taken)
    const moved = new FileSyncError('SESSION_REPLACED', `This client has the folder "${peer.area}" now.`)
    if (left !== undefined) void this.#listener?.endSessions(peer.id, moved)
  }

  async #openArchive (): Promise<ReopeningArchive> {
    const { stateDir, archiveRoot, acceptArchive, allowNetworkDisk, keepMs, deletions, quotaBytes, reserveBytes } = this.#settings
    return await openServerArchive({
      stateDir,
      root: archiveRoot,
      accept: acceptArchive,
      allowNetworkDisk,
      keepMs,
      deletions,
      clock: systemClock,
      signal: this.#stop.signal,
      onRebuild: rebuilding => { logRebuilding(rebuilding, this.#log) },
      ...(quotaBytes !== undefined && { quotaBytes }),
      ...(reserveBytes !== undefined && { reserveBytes }),
    }, this.#log)
  }

  async #startLegacy (archive: ReopeningArchive, legacyPort: number): Promise<LegacyListener> {
    return await startLegacy(archive, {
      legacyPort,
      bind: this.#settings.bind,
      limit: this.#limit,
      nextSyncInMs: () => this.#schedule.nextSyncInMs(),
      log: this.#log,
      signal: this.#stop.signal,
    })
  }

  async #openControl (
    { archive, desk, peers, monitor, operations }: ControlledParts,
  ): Promise<void> {
    const { name, archiveRoot, quotaBytes, stateDir, metrics } = this.#settings
    const { board, history, events } = monitor
    const health = new Health({
      archive, desk, peers, board, history, quotaBytes,
      clones: monitor.clones,
      clock: systemClock,
      queue: this.#queue,
      describe: () => ({
        id: this.id,
        name,
        version: VERSION,
        port: this.port,
        discovery: this.discovery,
        archive: archiveRoot,
        startedAt: this.#startedAt,
      }),
    })
    const revoke = async (named: string): Promise<Peer> => await operations.revoke(named)
    const areaNamed = async (named: string): Promise<string> => await operations.area(named)
    const control = controlRoutes({ desk, health, events, revoke, areaNamed })
    const routes = { ...control, ...peerRoutes(operations), ...archiveRoutes(archive) }
    this.#closeLater(await serveControl(stateDir, routes))
    if (metrics !== undefined) this.#metricsPort = this.#closeLater(await monitor.serveMetrics(metrics, health)).port
  }

  async #listen (
    { identity, peers, desk, sessions, operations }: ListeningParts,
  ): Promise<Listener> {
    const seen = new Set<Promise<void>>()
    this.#closeLater({ close: async () => { await Promise.all(seen) } })
    const known = (await peers.list()).filter(({ revokedAtMs }) => revokedAtMs === undefined)
    return await listenTls({
      identity,
      port: this.#settings.port,
      bind: this.#settings.bind,
      knownAddresses: known.flatMap(({ lastAddress }) => lastAddress ?? []),
      clock: systemClock,
      signal: this.#stop.signal,
      peers,
      onSync: async (channel, peer) => {
        // No session waits for it: many that come at once would wait for each other's writes, and their clients for HELLO.
        const recorded = peers.recordSeen(peer.id, channel.remoteAddress).catch((error: unknown) => { this.#logNotSeen(peer, error) })
        seen.add(recorded)
        void recorded.finally(() => { seen.delete(recorded) })
        const admitted = await operations.admit(peer)
        await sessions.serve(channel, operations.ensureAdmitted(admitted))
      },
      onPair: async channel => {
        const { peer: { area, id }, unconfirmed } = await desk.serve(channel)
        if (unconfirmed === undefined) return
        const { remoteAddress: address } = channel
        const { code, message } = unconfirmed
        this.#log(
          { event: 'pairing-unconfirmed', area, id: formatDeviceId(id), address, code, message },
          `${area} at ${address} is trusted, but did not confirm that it trusts this server (${message}). ` +
            `If it cannot push, pair it again; if you do not know it, run "filesync-server revoke ${area}".`,
        )
      },
      onRefused: refusal => { logRefusal(refusal, this.#log) },
      onRefusalsSuppressed: ({ address, count }) => { logMoreRefusals(address, count, this.#log) },
      onEveryRefusal: ({ code }) => { this.#monitor?.noteRefusal(code) },
    })
  }

  #logNotSeen ({ area }: Peer, error: unknown): void {
    const { code, message } = asFileSyncError(error)
    this.#log({ event: 'seen-not-recorded', area, code, message }, `${area}: when it was last seen could not be recorded: ${message}`)
  }

  #startUpkeep (
    archive: ReopeningArchive, { signer, restores }: { readonly signer: Signer, readonly restores: RestoreDesk | undefined },
  ): Upkeep {
    return new Upkeep({
      archive,
      isBeingRead: area => restores?.isReading(area) === true,
      clock: systemClock,
      sign: async (fd, sizeBytes, signal) => await signer.sign(fd, sizeBytes, signal),
      onDone: report => {
        logUpkeep(report, this.#log)
        if (report.pruned > 0) void this.#operations?.settle()
      },
      onFailed: (area, { code, message }) => {
        this.#log({ event: 'upkeep-failed', area, code, message }, `${area}: upkeep failed: ${message}`)
      },
    })
  }

  #logPrivilegedPort (): void {
    const message = `Clients do not connect to port ${this.port} if they find it on the network, because it is privileged. ` +
      'Use a port from 1024 on, or start clients with --server HOST:PORT.'
    this.#log({ event: 'discovery-problem', message }, message)
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
