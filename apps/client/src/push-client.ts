import type { DeviceId, PinnedServer } from '@filesync/identity'
import { EventFeed } from '@filesync/program'
import type { LogEvent } from '@filesync/program'
import { saveMemory, serveControl } from '@filesync/program/node'
import type { ControlServer, MetricsPort } from '@filesync/program/node'
import { asFileSyncError, splitPath } from '@filesync/protocol'
import type { Clock, FileSyncError, RelativePath, ServerStatusReady } from '@filesync/protocol'
import type { Scanner } from '@filesync/scanner'
import { openScanner } from '@filesync/scanner/node'
import type { FileSource } from '@filesync/transfer'
import { openFileSource } from '@filesync/transfer/node'
import { checkId } from './connect/check-id.ts'
import { chooseServers } from './connect/choose-server.ts'
import { openClientState } from './connect/client-state.ts'
import type { ClientState } from './connect/client-state.ts'
import type { ConnectToServerInit } from './connect/connect-to-server.ts'
import { runMark } from './connect/run-mark.ts'
import { pushLegacyOnce } from './legacy/push-once.ts'
import { ChangeSignal } from './push/change-signal.ts'
import { planOnce } from './push/plan-once.ts'
import type { PushPlan } from './push/plan-session.ts'
import { pushOnce } from './push/push-once.ts'
import type { PushRun, RunWatcher } from './push/push-once.ts'
import type { PushResult } from './push/push-result.ts'
import { recallSource, rememberSource } from './push/source-memory.ts'
import type { SourceMemory } from './push/source-memory.ts'
import type { LegacySettings, PushSettings } from './settings.ts'
import { SOFTWARE, VERSION } from './software.ts'
import { ActivityRecorder } from './status/activity-recorder.ts'
import { controlRoutes } from './status/control-routes.ts'
import type { ClientStatus } from './status/control-routes.ts'
import { explainPath } from './status/explain-path.ts'
import type { PathState } from './status/explain-path.ts'
import type { ClientMetrics } from './status/metrics.ts'
import { RunRecord } from './status/run-record.ts'

/** A run; `notSaved` if the record of the directory could not be written afterwards. */
export type PushClientRun = PushRun & { readonly notSaved?: FileSyncError }

interface ClientParts {
  readonly state: ClientState
  readonly scanner: Scanner
  readonly source: FileSource
  readonly clock: Clock
}

/**
 * A client of one directory. It keeps open what the runs share: the scanner, the source, the state, and the control socket that
 * answers `status` and `why`.
 */
export class PushClient {
  /** What the client is doing, and how its runs ended. */
  readonly record: RunRecord = new RunRecord(event => { this.#publish(event) })
  readonly #events = new EventFeed()
  readonly #startedAt: string = new Date().toISOString()
  #metrics: ClientMetrics | undefined
  #metricsPort: MetricsPort | undefined
  readonly #settings: PushSettings
  readonly #parts: ClientParts
  readonly #recorder: ActivityRecorder
  readonly #changes = new ChangeSignal()
  #control: ControlServer | undefined
  /** The server that the directory is pushed to, after the first complete run. */
  #home: DeviceId | undefined
  /** The server that was reached last. */
  #server: PinnedServer | undefined
  /** Whether the server said that two machines use the key of this client. */
  #isCloned = false

  private constructor (settings: PushSettings, parts: ClientParts, remembered: SourceMemory | undefined) {
    this.#settings = settings
    this.#parts = parts
    this.#recorder = new ActivityRecorder(this.record, parts.clock)
    this.#home = remembered?.serverId
    this.record.completeAtMs = remembered?.completeAtMs
  }

  /** Opens the directory and the state. Throws SOURCE_UNAVAILABLE, STATE_IN_USE, KEY_EXPOSED, and others. */
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

  /** One run. With `waitForSettled` it waits for files that are being written; otherwise they are left to the next run. */
  async run (watcher: RunWatcher, options: { waitForSettled: boolean, signal: AbortSignal }): Promise<PushClientRun> {
    const { scanner, clock } = this.#parts
    const { legacy } = this.#settings
    this.#changes.clear()
    this.record.activity = { doing: 'connecting' }
    const run = legacy === undefined ? await this.#push(watcher, options) : await this.#pushLegacy(legacy, watcher, options.signal)
    if (run.error === undefined) scanner.invalidate(run.stale)
    this.record.activity = { doing: 'idle' }
    const result: PushResult = {
      ...run.result,
      ...(this.#server !== undefined && { server: this.#server.name }),
      ...(this.#isCloned && { cloned: true }),
    }
    this.#metrics?.countRun(result)
    this.record.add(result, clock.nowMs(), run.error === undefined ? run.tree : undefined)
    const notSaved = run.error === undefined ? await this.#remember() : undefined
    return { ...run, result, ...(notSaved !== undefined && { notSaved }) }
  }

  async #push (watcher: RunWatcher, { waitForSettled, signal }: { waitForSettled: boolean, signal: AbortSignal }): Promise<PushRun> {
    const { state, scanner, source, clock } = this.#parts
    return await pushOnce({
      ...state,
      ...this.#settings,
      ...this.#recording(watcher),
      ...this.#choosing(),
      scan: async over => {
        const snapshot = await scanner.scan({ waitForSettled, signal: over })
        // This stays in force after the run: the next snapshot will be as large.
        saveMemory(snapshot.files)
        return snapshot
      },
      source,
      software: SOFTWARE,
      mark: runMark(state.identity.id),
      clock,
      signal,
    })
  }

  /** The original protocol cannot leave out a file that is being written, so the scan always waits for such files. */
  async #pushLegacy (legacy: LegacySettings, watcher: RunWatcher, signal: AbortSignal): Promise<PushRun> {
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

  /** A directory stays with the server of its first push, unless the user names another one. */
  #choosing (): Pick<ConnectToServerInit, 'choose' | 'onReached'> {
    const { root, server, serverName } = this.#settings
    return {
      choose: pinned => chooseServers(pinned, { root, home: this.#home, named: serverName, isAddressGiven: server !== undefined }),
      onReached: reached => { this.#server = reached },
    }
  }

  /** Saves what the run learned about the directory. A failure does not make the run fail: what it reported as stored is stored. */
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

  /** Asks the server what a run would do. Throws what ended the session. */
  async plan (watcher: RunWatcher, signal: AbortSignal): Promise<PushPlan> {
    const { state, scanner, clock } = this.#parts
    this.record.activity = { doing: 'connecting' }
    const { onBusy, onReady } = this.#recording(watcher)
    return await planOnce({
      ...state, ...this.#settings, ...this.#choosing(), onBusy, onReady, software: SOFTWARE, clock, signal,
      scan: async over => await scanner.scan({ waitForSettled: false, signal: over }),
    })
  }

  /** Watches the tree until the signal is aborted; needed for {@link nextChange}. */
  async watch (signal: AbortSignal): Promise<void> {
    for await (const { reason } of this.#parts.scanner.watch({ signal })) if (reason !== 'start') this.#changes.set()
  }

  /** Resolves when the tree has changed since the last run began, and has settled. */
  async nextChange (signal: AbortSignal): Promise<void> {
    await this.#changes.wait(signal)
  }

  /** The current state of one path, and how it differs from what the last run stored. Throws what a scan throws. */
  async why (path: RelativePath, signal: AbortSignal): Promise<PathState> {
    const { scanner } = this.#parts
    // The last scan may be old, and the watcher may not have reported a very recent change yet.
    scanner.invalidate([splitPath(path).directory, path])
    await scanner.scan({ signal })
    return explainPath(path, scanner.explain(path), this.record)
  }

  /** The port on which metrics are served; undefined if they are not. */
  get metricsPort (): number | undefined {
    return this.#metricsPort?.port
  }

  async close (): Promise<void> {
    await Promise.all([this.#control?.close(), this.#metricsPort?.close(), this.#parts.source.close(), this.#parts.scanner.close()])
  }

  /** The socket also locks the state directory: two clients with one identity would displace each other in the server's queue. */
  async #openControl (): Promise<void> {
    const { root, stateDir, metrics } = this.#settings
    const status = (): ClientStatus => this.#status(root)
    const why = async (path: RelativePath, gone: AbortSignal): Promise<PathState> => await this.why(path, gone)
    this.#control = await serveControl(stateDir, controlRoutes({ status, events: this.#events, why }))
    if (metrics === undefined) return
    // Loaded only if needed: it takes as long as the rest of the start.
    const { ClientMetrics } = await import('./status/metrics.ts')
    this.#metrics = new ClientMetrics()
    this.#metricsPort = await this.#metrics.serve(metrics, status)
  }

  #status (directory: string): ClientStatus {
    const { last, completeAtMs } = this.record
    const { activity } = this.#recorder
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
      cloned: this.#isCloned,
    }
  }

  #publish (event: LogEvent): void {
    if (this.#events.hasReaders) this.#events.push({ ...event, time: new Date(this.#parts.clock.nowMs()).toISOString() })
  }

  /** Checks `--id` against what the server calls this client, and remembers that. Throws USAGE. */
  #noteNames ({ area, cloned }: ServerStatusReady): void {
    const server = this.#server
    checkId(this.#settings.id, { area, pairedAs: server?.pairedAs ?? server?.area })
    this.#isCloned = cloned === true
    if (server === undefined || (server.area === area && server.pairedAs !== undefined)) return
    // The name is for people, so a run does not fail if it cannot be saved.
    this.#parts.state.servers.recordArea(server.id, area).catch(() => { /* the next run tries again */ })
  }

  /** Callbacks that record the activity and refuse a client that was paired under another name. */
  #recording (watcher: RunWatcher): RunWatcher {
    const recording = this.#recorder.callbacks(watcher)
    return {
      ...recording,
      onReady: status => {
        this.#noteNames(status)
        recording.onReady(status)
      },
    }
  }
}
