import { EventFeed } from '@filesync/program'
import type { LogEvent } from '@filesync/program'
import { saveMemory, serveControl } from '@filesync/program/node'
import type { ControlServer, MetricsPort } from '@filesync/program/node'
import { asFileSyncError, splitPath } from '@filesync/protocol'
import type { Clock, FileSyncError, RelativePath } from '@filesync/protocol'
import type { DeviceId, PinnedServer } from '@filesync/identity'
import type { Scanner } from '@filesync/scanner'
import { openScanner } from '@filesync/scanner/node'
import { MovingRate } from '@filesync/transfer'
import type { FileSource } from '@filesync/transfer'
import { openFileSource } from '@filesync/transfer/node'
import { ChangeSignal } from './push/change-signal.ts'
import { checkId } from './connect/check-id.ts'
import { chooseServers } from './connect/choose-server.ts'
import { openClientState } from './connect/client-state.ts'
import type { ClientState } from './connect/client-state.ts'
import { controlRoutes } from './status/control-routes.ts'
import type { ClientStatus } from './status/control-routes.ts'
import type { ConnectToServerInit } from './connect/connect-to-server.ts'
import { explainPath } from './status/explain-path.ts'
import type { PathState } from './status/explain-path.ts'
import { pushLegacyOnce } from './legacy/push-once.ts'
import type { ClientMetrics } from './status/metrics.ts'
import { planOnce } from './push/plan-once.ts'
import type { PushPlan } from './push/plan-session.ts'
import { pushOnce } from './push/push-once.ts'
import type { PushRun, RunWatcher } from './push/push-once.ts'
import { atRate, RunRecord } from './status/run-record.ts'
import { recallSource, rememberSource } from './push/source-memory.ts'
import type { SourceMemory } from './push/source-memory.ts'
import type { LegacySettings, PushSettings } from './settings.ts'
import { SOFTWARE, VERSION } from './software.ts'

/** A run, and why what was learnt of the directory could not be kept, where it could not. */
export type PushClientRun = PushRun & { readonly notSaved?: FileSyncError }

interface ClientParts {
  readonly state: ClientState
  readonly scanner: Scanner
  readonly source: FileSource
  readonly clock: Clock
}

/** What one client needs to push one directory, open from its first run to its last. */
export class PushClient {
  /** What it does and how its runs ended; answers `status` and `why`. */
  readonly record: RunRecord = new RunRecord(event => { this.#tell(event) })
  readonly #events = new EventFeed()
  readonly #startedAt: string = new Date().toISOString()
  #metrics: ClientMetrics | undefined
  #metricsPort: MetricsPort | undefined
  readonly #settings: PushSettings
  readonly #parts: ClientParts
  readonly #changes = new ChangeSignal()
  #control: ControlServer | undefined
  /** The server that the directory goes to, once a push has come to its end there. */
  #home: DeviceId | undefined
  /** The server that was reached last. */
  #server: PinnedServer | undefined
  /** Of the transfer that runs. */
  #rate: MovingRate | undefined

  private constructor (settings: PushSettings, parts: ClientParts, remembered: SourceMemory | undefined) {
    this.#settings = settings
    this.#parts = parts
    this.#home = remembered?.serverId
    this.record.completeAtMs = remembered?.completeAtMs
  }

  /** Opens the directory and the state. Throws SOURCE_UNAVAILABLE, STATE_IN_USE, KEY_EXPOSED and the like. */
  static async open (settings: PushSettings, clock: Clock): Promise<PushClient> {
    const { root, stateDir, ignoreFile, builtInIgnores, settleMs } = settings
    const remembered = await recallSource(stateDir, root)
    const memory = settings.acceptSource ? undefined : remembered
    const ignore = { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) }
    const scanner = await openScanner({ root, settleMs, clock, ignore, ...(memory !== undefined && { memory }) })
    const source = openFileSource({ root })
    const close = async (): Promise<void> => { await Promise.all([scanner.close(), source.close()]) }
    try {
      const client = new PushClient(settings, { state: await openClientState(stateDir), scanner, source, clock }, remembered)
      await client.#openControl().catch(async (error: unknown) => {
        await client.#control?.close()
        throw error
      })
      return client
    } catch (error) {
      await close()
      throw error
    }
  }

  /** One run. `waitForSettled` waits for files that are being written instead of leaving them for the next run. */
  async run (watcher: RunWatcher, { waitForSettled, signal }: { waitForSettled: boolean, signal: AbortSignal }): Promise<PushClientRun> {
    const { state, scanner, source, clock } = this.#parts
    const { legacy } = this.#settings
    this.#changes.clear()
    this.record.activity = { doing: 'connecting' }
    const run = legacy !== undefined ? await this.#runLegacy(legacy, watcher, signal) : await pushOnce({
      ...state,
      ...this.#settings,
      ...this.#recording(watcher),
      ...this.#choosing(),
      scan: async over => {
        const snapshot = await scanner.scan({ waitForSettled, signal: over })
        // For good: the next picture of it is as large.
        saveMemory(snapshot.files)
        return snapshot
      },
      source,
      software: SOFTWARE,
      clock,
      signal,
    })
    if (run.error === undefined) scanner.doubt(run.stale)
    this.record.activity = { doing: 'idle' }
    const result = { ...run.result, ...(this.#server !== undefined && { server: this.#server.name }) }
    this.#metrics?.noteRun(result)
    this.record.note(result, clock.nowMs(), run.error === undefined ? run.tree : undefined)
    const notSaved = run.error === undefined ? await this.#remember() : undefined
    return { ...run, result, ...(notSaved !== undefined && { notSaved }) }
  }

  /** A directory stays with the server of its first push, unless the user names another. */
  #choosing (): Pick<ConnectToServerInit, 'choose' | 'onReached'> {
    const { root, server, serverName } = this.#settings
    return {
      choose: pinned => chooseServers(pinned, { root, home: this.#home, named: serverName, isAddressGiven: server !== undefined }),
      onReached: reached => { this.#server = reached },
    }
  }

  /** Keeps what was learnt of the directory. What hinders that is no failure of the run: what it says is stored is. */
  async #remember (): Promise<FileSyncError | undefined> {
    const { memory } = this.#parts.scanner
    if (memory === undefined) return undefined
    const { stateDir, root, serverName } = this.#settings
    if (this.#home === undefined || serverName !== undefined) this.#home = this.#server?.id
    const { completeAtMs } = this.record
    try {
      await rememberSource(stateDir, root, {
        ...memory, ...(this.#home !== undefined && { serverId: this.#home }), ...(completeAtMs !== undefined && { completeAtMs }),
      })
      return undefined
    } catch (error) {
      return asFileSyncError(error)
    }
  }

  /** Asks the server what a run would do. Throws what ended it. */
  async plan (watcher: RunWatcher, signal: AbortSignal): Promise<PushPlan> {
    const { state, scanner, clock } = this.#parts
    this.record.activity = { doing: 'connecting' }
    const { onBusy, onReady } = this.#recording(watcher)
    return await planOnce({
      ...state, ...this.#settings, ...this.#choosing(), onBusy, onReady, software: SOFTWARE, clock, signal,
      scan: async over => await scanner.scan({ waitForSettled: false, signal: over }),
    })
  }

  /** The original protocol cannot leave out a file that is being written, so such files are always waited for. */
  async #runLegacy (legacy: LegacySettings, watcher: RunWatcher, signal: AbortSignal): Promise<PushRun> {
    const { state, scanner, source, clock } = this.#parts
    return await pushLegacyOnce({
      ...legacy,
      servers: state.servers,
      scan: async over => await scanner.scan({ waitForSettled: true, signal: over }),
      source,
      clock,
      signal,
      onBusy: () => { this.#recording(watcher).onBusy(1, undefined) },
    })
  }

  /** Watches the tree until the signal is aborted, so that {@link nextChange} resolves. */
  async watch (signal: AbortSignal): Promise<void> {
    for await (const { reason } of this.#parts.scanner.watch({ signal })) if (reason !== 'start') this.#changes.note()
  }

  /** Resolves when the tree has changed since the last run began, and become quiet. */
  async nextChange (signal: AbortSignal): Promise<void> {
    await this.#changes.next(signal)
  }

  /** The state of one path as it is now, and how it differs from what the last run stored. Throws what a scan throws. */
  async why (path: RelativePath, signal: AbortSignal): Promise<PathState> {
    const { scanner } = this.#parts
    // The last scan may be long ago, and what happened a moment ago may not have been told yet.
    scanner.doubt([splitPath(path).directory, path])
    await scanner.scan({ signal })
    return explainPath(path, scanner.why(path), this.record)
  }

  /** Where metrics are shown. */
  get metricsPort (): number | undefined {
    return this.#metricsPort?.port
  }

  async close (): Promise<void> {
    await Promise.all([this.#control?.close(), this.#metricsPort?.close(), this.#parts.source.close(), this.#parts.scanner.close()])
  }

  /** Two runs with one identity would push each other out of the queue, so the socket is the lock of the state directory too. */
  async #openControl (): Promise<void> {
    const { root, stateDir, metrics } = this.#settings
    const status = (): ClientStatus => this.#status(root)
    this.#control = await serveControl(stateDir, controlRoutes({ status, events: this.#events, why: async (path, gone) => await this.why(path, gone) }))
    if (metrics === undefined) return
    // Loaded by those alone who want it: it takes as long as all else at the start.
    const { ClientMetrics } = await import('./status/metrics.ts')
    this.#metrics = new ClientMetrics()
    this.#metricsPort = await this.#metrics.serve(metrics, status)
  }

  #status (directory: string): ClientStatus {
    const { last, completeAtMs } = this.record
    const activity = atRate(this.record.activity, this.#rate?.perSecond(this.#parts.clock.monotonicMs()) ?? 0)
    return {
      version: VERSION,
      directory,
      server: this.#server?.name ?? null,
      startedAt: this.#startedAt,
      activity,
      watch: this.#parts.scanner.status,
      last: last ?? null,
      lastCompleteAt: completeAtMs === undefined ? null : new Date(completeAtMs).toISOString(),
      nextSyncAt: activity.doing === 'waiting' ? new Date(activity.untilMs).toISOString() : null,
    }
  }

  #tell (event: LogEvent): void {
    if (this.#events.hasReaders) this.#events.push({ ...event, time: new Date(this.#parts.clock.nowMs()).toISOString() })
  }

  #recording (watcher: RunWatcher): RunWatcher {
    return {
      onBusy: (position, estimateMs) => {
        this.record.activity = { doing: 'queued', position, estimateMs }
        watcher.onBusy(position, estimateMs)
      },
      onReady: status => {
        checkId(this.#settings.id, status.area)
        this.#rate = undefined
        this.record.activity = { doing: 'comparing' }
        watcher.onReady(status)
      },
      onProgress: progress => {
        const { files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing } = progress
        const nowMs = this.#parts.clock.monotonicMs()
        this.#rate ??= new MovingRate(nowMs)
        this.#rate.note(nowMs, progress.carriedBytes)
        this.record.activity = { doing: 'sending', files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing }
        watcher.onProgress(progress)
      },
    }
  }
}
