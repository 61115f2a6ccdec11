import type { Archive } from '@filesync/archive'
import { RefusalLimit } from '@filesync/identity'
import { LEGACY_LIMITS } from '@filesync/protocol/legacy'
import type { FileSyncError } from '@filesync/protocol'
import { createHasher, hashBytes, localZone, systemClock } from '@filesync/protocol/node'
import { formatCount, printable } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { SessionQueue } from '../schedule/session-queue.ts'
import type { SharedLimit } from '../schedule/shared-limit.ts'
import { ClientMemory } from './client-memory.ts'
import { listenLegacy } from './listen.ts'
import type { LegacyListener } from './listen.ts'
import type { LegacyReport } from './serve-session.ts'

export interface StartLegacyInit {
  readonly legacyPort: number
  readonly bind: string | undefined
  /** Shared with the sessions of paired clients. */
  readonly limit: SharedLimit | undefined
  readonly nextSyncInMs: () => number
  readonly log: EventLog
  readonly signal: AbortSignal
}

const MAX_WAITING = 32
/** Lines about sessions of one address: anybody can open one. */
const LINES_AT_ONCE = 30
const LINE_EACH_MS = 1_000
/** How many problems of a session are logged one by one; the rest is counted. */
const SHOWN_PROBLEMS = 20
const UNPROTECTED = 'UNPROTECTED: no encryption, and anybody on the network can read, replace and delete there'

/** What is said when the port opens. */
export function legacyBanner (port: number): string {
  return `the original protocol is spoken on port ${port}, ${UNPROTECTED}; only below legacy/ in the archive`
}

/** Serves clients of the original program, one at a time, each with an area of its own below `legacy/`. Throws PORT_UNAVAILABLE. */
export async function startLegacy (archive: Archive, init: StartLegacyInit): Promise<LegacyListener> {
  const limit = new RefusalLimit({
    clock: systemClock, burst: LINES_AT_ONCE, refillMs: LINE_EACH_MS,
    onLeftOut: ({ address, count }) => { init.log({ event: 'legacy-more', protected: false, address, count }, `${formatCount(count, 'more session')} with ${address}`) },
  })
  return await listenLegacy({
    port: init.legacyPort,
    bind: init.bind,
    limit: init.limit,
    queue: new SessionQueue({ maxActive: 1, maxWaiting: MAX_WAITING, clock: systemClock }),
    areas: () => archive.areas(),
    openArea: async name => {
      await archive.ensurePresent('path')
      return await archive.area(name)
    },
    memory: new ClientMemory(),
    hash: hashBytes,
    createHasher,
    clock: systemClock,
    zone: localZone,
    signal: init.signal,
    nextSyncInMs: () => Math.max(LEGACY_LIMITS.soonMs, init.nextSyncInMs()),
    onSession: (address, report) => {
      const dropped = limit.take(address)
      if (dropped !== undefined) logSession({ address, report, dropped }, init.log)
    },
    onFailure: (address, error) => {
      // So that a disk that is gone is let go of.
      if (error.code === 'ARCHIVE_UNAVAILABLE' || error.code === 'ABORTED') void archive.ensurePresent('disk').catch(() => { /* the log says so */ })
      const dropped = limit.take(address)
      if (dropped !== undefined) logFailure({ address, error, dropped }, init.log)
    },
  })
}

function logSession ({ address, report, dropped }: { address: string, report: LegacyReport, dropped: number }, log: EventLog): void {
  const { area, result, stored, problems, problemCount, isMore } = report
  log(
    { event: 'legacy-synced', protected: false, area, address, result, ...stored, problems: problemCount, more: isMore, dropped },
    `${area}: ${result === 'OK' ? 'stored' : result.toLowerCase()}, ${formatCount(stored.files, 'file')} sent, ${stored.deleted} moved to versions, ${formatCount(problemCount, 'problem')}` +
      `${problemCount > SHOWN_PROBLEMS ? `, of which ${SHOWN_PROBLEMS} are named` : ''}${isMore ? ', more to come' : ''}; the session was ${UNPROTECTED}`,
  )
  for (const { path, code, message } of problems.slice(0, SHOWN_PROBLEMS)) {
    log({ event: 'legacy-problem', area, path, code, message }, `${area}: ${printable(path)}: ${printable(message)}`)
  }
}

function logFailure ({ address, error, dropped }: { address: string, error: FileSyncError, dropped: number }, log: EventLog): void {
  const { code, message } = error
  log(
    { event: 'legacy-failed', protected: false, address, code, message, dropped },
    `the session of the original protocol with ${address}, ${UNPROTECTED}, ended early: ${printable(message)}`,
  )
}
