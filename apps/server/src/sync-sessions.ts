import { randomBytes } from 'node:crypto'
import type { Archive } from '@filesync/archive'
import type { DeviceId, Peer } from '@filesync/identity'
import type { Channel } from '@filesync/identity/node'
import { formatCount } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { asFileSyncError, FileSyncError, LIMITS, wait } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { createCutFinder, zstdDecompress } from '@filesync/transfer/node'
import type { Signer } from '@filesync/transfer/node'
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
  /** Whoever waits for it, waits in a session: not shared with others. */
  readonly signer: Signer
  readonly queue: SessionQueue
  readonly schedule: Schedule
  /** Of what is received; not these sessions alone may share it. */
  readonly limit: SharedLimit | undefined
  readonly monitor: Monitor
  readonly log: EventLog
  /** Aborted when the server has stopped. */
  readonly signal: AbortSignal
  /** A session of the area is over. */
  readonly onEnd: (area: string) => void
}

const SESSION_NAME_BYTES = 6
/** A client needs one for its push, and one for each question that somebody asks meanwhile. */
const CONNECTIONS_PER_CLIENT = 32

/** All sessions of paired clients: what they share, what is told of each, and how they come to an end together. */
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

  /** Serves one client. Rejects with what ended the session early; with SERVER_BUSY where the client has more connections than it can need. */
  async serve (channel: Channel, peer: Peer): Promise<void> {
    const open = this.#connections.get(peer.id) ?? 0
    if (open >= CONNECTIONS_PER_CLIENT) throw new FileSyncError('SERVER_BUSY', `The client has ${CONNECTIONS_PER_CLIENT} connections open already.`)
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

  /** Has all sessions commit what they have and end, and resolves when they did, or after that time. No more begin. */
  async stop (withinMs: number): Promise<void> {
    this.#stopping.abort()
    const over = new AbortController()
    try {
      await Promise.race([Promise.allSettled(this.#serving), wait(systemClock, withinMs, over.signal)])
    } finally {
      over.abort()
    }
  }

  async #serve ({ connection, remoteAddress: address }: Channel, { id, area }: Peer): Promise<void> {
    const { monitor, log, onEnd } = this.#init
    const startedMs = systemClock.monotonicMs()
    const watched = monitor.watch(area, address, connection)
    try {
      const next = await serveSession(connection, { identity: id, area }, { ...this.#deps, observer: watched.observer })
      const ended = watched.end(next)
      const durationMs = Math.round(systemClock.monotonicMs() - startedMs)
      if (next !== undefined && ended !== undefined) logSynced({ address, next, ended, durationMs }, log)
    } catch (error) {
      const known = this.#explain(asFileSyncError(error))
      const { code, message } = known
      watched.end(known)
      const event = INTERRUPTIONS.includes(code) ? 'session-ended' : 'session-failed'
      log({ event, area, address, code, message }, `${area}: the session ended early: ${message}`)
      if (code === 'ARCHIVE_UNAVAILABLE') await this.#look()
      throw known
    } finally {
      onEnd(area)
    }
  }

  // What runs while the disk goes away is cut off, which says nothing to a client and would keep it from coming again.
  #explain (error: FileSyncError): FileSyncError {
    if (error.code !== 'ABORTED' || this.#stopping.signal.aborted) return error
    return new FileSyncError('ARCHIVE_UNAVAILABLE', 'The disk of the archive went away during the session. The server goes on when it is back.', { cause: error })
  }

  /** Finds out whether the disk is gone, so that the next session need not fail to notice. */
  async #look (): Promise<void> {
    await this.#init.archive.ensurePresent('disk').catch(() => { /* it is away now, which the log says */ })
  }
}

function dependencies ({ settings, archive, signer, queue, schedule, limit, signal }: SyncSessionsInit, stopping: AbortSignal): ServeDependencies {
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

/** The client tells its user the same numbers. */
function logSynced ({ address, next: { stored }, ended, durationMs }: Synced, log: EventLog): void {
  const { client: area, result, problemCount } = ended
  log(
    { event: 'synced', area, address, result, ...stored, problems: problemCount, durationMs },
    `${area}: ${result === 'OK' ? 'stored' : result.toLowerCase()}, ${formatCount(stored.files, 'file')} sent, ${stored.renamed} renamed, ${stored.deleted} moved to versions, ${formatCount(problemCount, 'problem')}`,
  )
}
