import { randomBytes } from 'node:crypto'
import type { Archive } from '@filesync/archive'
import type { Audit, DeviceId, Peer } from '@filesync/identity'
import type { Channel } from '@filesync/identity/node'
import { formatCount } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { asFileSyncError, FileSyncError, LIMITS, wait } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { createCutFinder, zstdDecompress } from '@filesync/transfer/node'
import type { Signer } from '@filesync/transfer/node'
import { recordRestores } from './restore/record-restores.ts'
import type { RestoreDesk } from './restore/restore-desk.ts'
import { describeClone } from './status/clone-watch.ts'
import { INTERRUPTIONS } from './status/monitor.ts'
import type { EndedSync, Monitor } from './status/monitor.ts'
import { SafeCheckDesk } from './session/safe-check-desk.ts'
import type { Schedule } from './schedule/schedule.ts'
import { serveSession } from './session/serve-session.ts'
import type { ServeDependencies } from './session/serve-session.ts'
import type { SessionQueue } from './schedule/session-queue.ts'
import type { ServerSettings } from './settings.ts'
import type { SharedLimit } from './schedule/shared-limit.ts'
import { SOFTWARE } from './software.ts'

export interface SyncSessionsInit {
  readonly settings: ServerSettings
  readonly archive: Archive
  /** Signs files while a session waits, so upkeep must not use it too. */
  readonly signer: Signer
  readonly queue: SessionQueue
  readonly schedule: Schedule
  /** Limits what is received; shared with legacy sessions. */
  readonly limit: SharedLimit | undefined
  /** Undefined if clients may not read their files back. */
  readonly restores: RestoreDesk | undefined
  readonly audit: Audit
  readonly monitor: Monitor
  readonly log: EventLog
  /** Aborted when the server has stopped. */
  readonly signal: AbortSignal
  /** Called when a session of the area has ended. */
  readonly onEnd: (area: string) => void
}

const SESSION_NAME_BYTES = 6
/** A client needs one for its push, and one for each safe check or plan at the same time. */
const CONNECTIONS_PER_CLIENT = 32

/** Runs the sessions of all paired clients: gives them what they share, logs how each ended, and stops them together. */
export class SyncSessions {
  readonly #init: SyncSessionsInit
  readonly #deps: ServeDependencies
  readonly #stopping = new AbortController()
  readonly #serving = new Set<Promise<void>>()
  readonly #connections = new Map<DeviceId, number>()

  constructor (init: SyncSessionsInit) {
    this.#init = init
    this.#deps = dependencies(init, this.#stopping.signal)
  }

  /** Serves one connection. Rejects with the error that ended the session early, and with SERVER_BUSY if the client has too many. */
  async serve (channel: Channel, peer: Peer): Promise<void> {
    const open = this.#connections.get(peer.id) ?? 0
    if (open >= CONNECTIONS_PER_CLIENT) {
      throw new FileSyncError('SERVER_BUSY', `This client already has ${CONNECTIONS_PER_CLIENT} open connections.`)
    }
    this.#connections.set(peer.id, open + 1)
    const session = this.#serve(channel, peer)
    this.#serving.add(session)
    try {
      await session
    } finally {
      this.#serving.delete(session)
      const left = (this.#connections.get(peer.id) ?? 1) - 1
      if (left > 0) this.#connections.set(peer.id, left)
      else this.#connections.delete(peer.id)
    }
  }

  /** Makes all sessions commit what has arrived and end. Resolves when they have, or after `withinMs`. No new ones begin. */
  async stop (withinMs: number): Promise<void> {
    this.#stopping.abort()
    const over = new AbortController()
    try {
      await Promise.race([Promise.allSettled(this.#serving), wait(systemClock, withinMs, over.signal)])
    } finally {
      over.abort()
    }
  }

  async #serve ({ connection, remoteAddress: address }: Channel, { id, area, pausedAtMs }: Peer): Promise<void> {
    const { monitor, log, onEnd } = this.#init
    const startedMs = systemClock.monotonicMs()
    const watched = monitor.watch(area, address, connection)
    try {
      const restores = this.#restoresOf(id, address)
      const next = await serveSession(connection, { identity: id, area, isPaused: pausedAtMs !== undefined }, {
        ...this.#deps,
        observer: watched.observer,
        noteMark: mark => this.#noteMark({ id, area }, mark, address),
        ...(restores !== undefined && { restores }),
      })
      const ended = watched.end(next)
      const durationMs = Math.round(systemClock.monotonicMs() - startedMs)
      if (next !== undefined && ended !== undefined) logSynced({ address, next, ended, durationMs }, log)
    } catch (error) {
      const known = this.#explain(asFileSyncError(error))
      const { code, message } = known
      watched.end(known)
      const event = INTERRUPTIONS.includes(code) ? 'session-ended' : 'session-failed'
      log({ event, area, address, code, message }, `${area}: the session ended early: ${message}`)
      if (code === 'ARCHIVE_UNAVAILABLE') await this.#checkDisk()
      throw known
    } finally {
      onEnd(area)
    }
  }

  #restoresOf (id: DeviceId, address: string): ServeDependencies['restores'] {
    const { restores: desk, audit, log } = this.#init
    return desk && { desk, createHasher, observer: recordRestores({ audit, log, id, address }) }
  }

  /** Whether two machines seem to use the key of a client; logs it when that is noticed. */
  #noteMark ({ id, area }: Pick<Peer, 'id' | 'area'>, mark: string | undefined, address: string): boolean {
    const { monitor: { clones }, log } = this.#init
    const noted = clones.note(id, mark, address)
    const clone = clones.of(id)
    if (noted === 'noticed' && clone !== undefined) {
      log({ event: 'cloned', area, addresses: clone.addresses.join(' ') }, describeClone(area, clone))
    }
    return noted !== undefined
  }

  /** Whether a client has an open connection. */
  isConnected (peer: DeviceId): boolean {
    return this.#connections.has(peer)
  }

  // When the disk goes away, its operations are aborted. To a client, ABORTED means nothing, and it would not retry.
  #explain (error: FileSyncError): FileSyncError {
    if (error.code !== 'ABORTED' || this.#stopping.signal.aborted) return error
    const message = 'The archive disk became unavailable during the session. The server continues when it is back.'
    return new FileSyncError('ARCHIVE_UNAVAILABLE', message, { cause: error })
  }

  /** Checks whether the disk is gone, so that the next session is refused at once instead of failing. */
  async #checkDisk (): Promise<void> {
    await this.#init.archive.ensurePresent('disk').catch(() => { /* the archive has logged it */ })
  }
}

function dependencies (init: SyncSessionsInit, stopping: AbortSignal): ServeDependencies {
  const { settings, archive, signer, queue, schedule, limit, signal } = init
  const { deletions, name, sessionTimeMs } = settings
  return {
    queue,
    openArea: async area => {
      await archive.ensurePresent('path')
      return await archive.area(area)
    },
    safeChecks: new SafeCheckDesk(async area => {
      await archive.ensurePresent('path')
      return archive.areas().includes(area) ? await archive.area(area) : undefined
    }),
    hash: hashBytes,
    decompress: zstdDecompress,
    sign: async (fd, sizeBytes, signal) => await signer.sign(fd, sizeBytes, signal),
    createCutFinder,
    clock: systemClock,
    signal,
    software: SOFTWARE,
    serverName: name,
    archiveId: archive.id,
    policy: { mode: deletions, maxFileBytes: LIMITS.fileBytes },
    newSessionName: () => randomBytes(SESSION_NAME_BYTES).toString('hex'),
    nextSyncInMs: () => schedule.nextSyncInMs(),
    rules: {
      schedule,
      stopping,
      sessionTimeMs,
      limit,
    },
  }
}

interface Synced {
  readonly address: string
  readonly next: NextSync
  readonly ended: EndedSync
  readonly durationMs: number
}

const RESULT_TEXTS: Readonly<Record<EndedSync['result'], string>> = {
  OK: 'stored', PROBLEMS: 'stored with problems', HALTED: 'halted', FAILED: 'failed', INTERRUPTED: 'interrupted',
}

/** Logs a finished session, with the same numbers that the client prints. */
function logSynced ({ address, next: { stored }, ended, durationMs }: Synced, log: EventLog): void {
  const { client: area, result, problemCount } = ended
  const { files, renamed, deleted } = stored
  log(
    { event: 'synced', area, address, result, ...stored, problems: problemCount, durationMs },
    `${area}: ${RESULT_TEXTS[result]}, ${formatCount(files, 'file')} sent, ${renamed} renamed, ` +
      `${deleted} moved to versions, ${formatCount(problemCount, 'problem')}`,
  )
}
