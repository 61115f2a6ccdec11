import type { DeviceId, PinnedServer } from '@filesync/identity'
import { EventFeed } from '@filesync/program'
import type { LogEvent } from '@filesync/program'
import { saveMemory, serveControl } from '@filesync/program/node'
import type { ControlServer, MetricsPort } from '@filesync/program/node'
import { asFileSyncError, splitPath } from '@filesync/protocol'
import type { Clock, FileSyncError, RelativePath, ServerStatusReady } from '@filesync/protocol'
import type { FileSource } from '@filesync/transfer'
import { openFileSource } from '@filesync/transfer/node'
import { checkId } from './connect/check-id.ts'
import { chooseServers } from './connect/choose-server.ts'
import { openClientState } from './connect/client-state.ts'
import type { ClientState } from './connect/client-state.ts'
import type { ConnectToServerInit } from './connect/connect-to-server.ts'
import { runMark } from './connect/run-mark.ts'
import { commonServer, recallFolders, rememberFolders } from './folders/folder-memory.ts'
import type { FolderMemories } from './folders/folder-memory.ts'
import { FolderRecord } from './folders/folder-record.ts'
import type { FolderSet } from './folders/folder-set.ts'
import { openFolders } from './push/open-folders.ts'
import { inFolder } from './folders/folder-tree.ts'
import type { FolderTree } from './folders/folder-tree.ts'
import { pushLegacyOnce } from './legacy/push-once.ts'
import { ChangeSignal } from './push/change-signal.ts'
import { planOnce } from './push/plan-once.ts'
import type { PushPlan } from './push/plan-session.ts'
import { pushOnce } from './push/push-once.ts'
import type { PushRun, RunWatcher } from './push/push-once.ts'
import type { PushResult } from './push/push-result.ts'
import type { LegacySettings, PushSettings } from './settings.ts'
import { SOFTWARE, VERSION } from './software.ts'
import { ActivityRecorder } from './status/activity-recorder.ts'
import { controlRoutes } from './status/control-routes.ts'
import type { ClientStatus } from './status/control-routes.ts'
import { explainPath } from './status/explain-path.ts'
import type { PathState } from './status/explain-path.ts'
import type { ClientMetrics } from './status/metrics.ts'
import { RunRecord } from './status/run-record.ts'

/** A run; `notSaved` if the record of the folders could not be written afterwards. */
export type PushClientRun = PushRun & { readonly notSaved?: FileSyncError }

interface ClientParts {
  readonly state: ClientState
  readonly folders: FolderSet
  readonly source: FileSource
  readonly clock: Clock
}

/**
 * A client of one or more folders. It keeps open what the runs share: the scanners, the source, the state, and the control socket
 * that answers `status` and `why`.
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
  /** The server that the folders are pushed to, after the first complete run. */
  #home: DeviceId | undefined
  readonly #folderRecord: FolderRecord
  /** The server that was reached last. */
  #server: PinnedServer | undefined
  /** Whether the server said that two machines use the key of this client. */
  #isCloned = false

  private constructor (settings: PushSettings, parts: ClientParts, memories: FolderMemories) {
    this.#settings = settings
    this.#parts = parts
    this.#recorder = new ActivityRecorder(this.record, parts.clock)
    this.#home = commonServer(settings.folders.map(({ name }) => name), memories, settings.serverName)
    this.#folderRecord = new FolderRecord(parts.folders, memories)
    this.record.completeAtMs = this.#folderRecord.completeAtMs
  }

  /** Opens the folders and the state. Throws SOURCE_UNAVAILABLE, STATE_IN_USE, KEY_EXPOSED, and others. */
  static async open (settings: PushSettings, clock: Clock): Promise<PushClient> {
    const { stateDir, legacy } = settings
    const memories = await recallFolders(stateDir)
    const folders = await openFolders(settings, memories, clock)
    const roots = new Map(settings.folders.map(({ name, root }) => [legacy === undefined ? name : '', root]))
    const source = openFileSource({ root: roots })
    const close = async (): Promise<void> => { await Promise.all([folders.close(), source.close()]) }
    try {
      const client = new PushClient(settings, { state: await openClientState(stateDir), folders, source, clock }, memories)
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
    const { folders, clock } = this.#parts
    const { legacy } = this.#settings
    this.#changes.clear()
    this.record.activity = { doing: 'connecting' }
    const run = legacy === undefined ? await this.#push(watcher, options) : await this.#pushLegacy(legacy, watcher, options.signal)
    if (run.error === undefined) {
      folders.invalidate(run.stale)
      folders.endAcceptance()
    }
    this.record.activity = { doing: 'idle' }
    const result: PushResult = {
      ...run.result,
      ...(this.#server !== undefined && { server: this.#server.name }),
      ...(this.#isCloned && { cloned: true }),
    }
    this.#metrics?.countRun(result)
    this.record.add(result, clock.nowMs(), run.error === undefined ? run.tree : undefined)
    this.#folderRecord.add(result, clock.nowMs())
    const notSaved = run.error === undefined ? await this.#remember() : undefined
    return { ...run, result: { ...result, folders: this.#folderRecord.status() }, ...(notSaved !== undefined && { notSaved }) }
  }

  async #push (watcher: RunWatcher, { waitForSettled, signal }: { waitForSettled: boolean, signal: AbortSignal }): Promise<PushRun> {
    const { state, folders, source, clock } = this.#parts
    return await pushOnce({
      ...state,
      ...this.#settings,
      ...this.#recording(watcher),
      ...this.#choosing(),
      scan: async over => {
        const tree = await folders.scan({ waitForSettled, signal: over })
        // This stays in force after the run: the next tree will be as large.
        saveMemory(tree.files)
        return tree
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
    const { state, folders, source, clock } = this.#parts
    const [{ name } = { name: '' }] = this.#settings.folders
    let tree: FolderTree | undefined
    const run = await pushLegacyOnce({
      ...legacy,
      servers: state.servers,
      scan: async over => {
        tree = await folders.scan({ waitForSettled: true, signal: over })
        // The original program has no folders: it receives the content of the directory.
        return tree.snapshots.get(name) ?? tree
      },
      source,
      clock,
      signal,
      onBusy: () => { this.#recording(watcher).onBusy(1, undefined) },
    })
    const problems = run.result.problems.map(problem => ({ ...problem, path: inFolder(name, problem.path) }))
    const result = { ...run.result, problems }
    return run.error === undefined && tree !== undefined ? { ...run, result, tree } : { ...run, result }
  }

  /** Folders stay with the server of their first push, unless the user names another one. */
  #choosing (): Pick<ConnectToServerInit, 'choose' | 'onReached'> {
    const { folders, server, serverName } = this.#settings
    const root = folders.map(folder => folder.root).join(', ')
    return {
      choose: pinned => chooseServers(pinned, { root, home: this.#home, named: serverName, isAddressGiven: server !== undefined }),
      onReached: reached => { this.#server = reached },
    }
  }

  /** Saves what the run learned about the folders. A failure does not make the run fail: what it reported as stored is stored. */
  async #remember (): Promise<FileSyncError | undefined> {
    const { stateDir, serverName } = this.#settings
    if (this.#home === undefined || serverName !== undefined) this.#home = this.#server?.id
    try {
      await rememberFolders(stateDir, this.#folderRecord.memories(this.#home))
      return undefined
    } catch (error) {
      return asFileSyncError(error)
    }
  }

  /** Asks the server what a run would do. Throws what ended the session. */
  async plan (watcher: RunWatcher, signal: AbortSignal): Promise<PushPlan> {
    const { state, folders, clock } = this.#parts
    this.record.activity = { doing: 'connecting' }
    const { onBusy, onReady } = this.#recording(watcher)
    return await planOnce({
      ...state, ...this.#settings, ...this.#choosing(), onBusy, onReady, software: SOFTWARE, clock, signal,
      scan: async over => await folders.scan({ waitForSettled: false, signal: over }),
    })
  }

  /** Watches the folders until the signal is aborted; needed for {@link nextChange}. */
  async watch (signal: AbortSignal): Promise<void> {
    await this.#parts.folders.watch(signal, () => { this.#changes.set() })
  }

  /** Resolves when a folder has changed since the last run began, and has settled. */
  async nextChange (signal: AbortSignal): Promise<void> {
    await this.#changes.wait(signal)
  }

  /** The current state of one path, and how it differs from what the last run stored. Throws what a scan throws. */
  async why (path: RelativePath, signal: AbortSignal): Promise<PathState> {
    const { folders } = this.#parts
    // The last scan may be old, and the watcher may not have reported a very recent change yet.
    folders.invalidate([splitPath(path).directory, path])
    await folders.look({ signal })
    return explainPath(path, folders.explain(path), this.record)
  }

  /** The port on which metrics are served; undefined if they are not. */
  get metricsPort (): number | undefined {
    return this.#metricsPort?.port
  }

  async close (): Promise<void> {
    await Promise.all([this.#control?.close(), this.#metricsPort?.close(), this.#parts.source.close(), this.#parts.folders.close()])
  }

  /** The socket also locks the state directory: two clients with one identity would displace each other in the server's queue. */
  async #openControl (): Promise<void> {
    const { stateDir, metrics } = this.#settings
    const status = (): ClientStatus => this.#status()
    const why = async (path: RelativePath, gone: AbortSignal): Promise<PathState> => await this.why(path, gone)
    this.#control = await serveControl(stateDir, controlRoutes({ status, events: this.#events, why }))
    if (metrics === undefined) return
    // Loaded only if needed: it takes as long as the rest of the start.
    const { ClientMetrics } = await import('./status/metrics.ts')
    this.#metrics = new ClientMetrics()
    this.#metricsPort = await this.#metrics.serve(metrics, status)
  }

  #status (): ClientStatus {
    const { last, completeAtMs } = this.record
    const { activity } = this.#recorder
    return {
      version: VERSION,
      folders: this.#folderRecord.status(),
      server: this.#server?.name ?? null,
      startedAt: this.#startedAt,
      activity,
      watch: this.#parts.folders.status,
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
