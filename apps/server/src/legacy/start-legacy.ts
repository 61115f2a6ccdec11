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
  /** Limits what is received; shared with the sessions of paired clients. */
  readonly limit: SharedLimit | undefined
  readonly nextSyncInMs: () => number
  readonly log: EventLog
  readonly signal: AbortSignal
}

const MAX_WAITING = 32
/** Limits the log lines about sessions from one address, because anyone can open sessions. */
const LINES_AT_ONCE = 30
const LINE_EACH_MS = 1_000
/** How many problems of a session are logged one by one; the rest are counted. */
const SHOWN_PROBLEMS = 20
const UNPROTECTED = 'UNPROTECTED: not encrypted, and anyone on the network can read, replace and delete files below legacy/'

/** The log line when the port opens. */
export function legacyBanner (port: number): string {
  return `the original protocol is served on port ${port}, ${UNPROTECTED} in the archive`
}

/** Serves clients of the original program, one at a time, each with its own area below `legacy/`. Throws PORT_UNAVAILABLE. */
export async function startLegacy (archive: Archive, init: StartLegacyInit): Promise<LegacyListener> {
  const limit = new RefusalLimit({
    clock: systemClock,
    burst: LINES_AT_ONCE,
    refillMs: LINE_EACH_MS,
    onSuppressed: ({ address, count }) => {
      init.log({ event: 'legacy-more', protected: false, address, count }, `${formatCount(count, 'more session')} with ${address}`)
    },
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
      const dropped = limit.admit(address)
      if (dropped !== undefined) logSession({ address, report, dropped }, init.log)
    },
    onFailure: (address, error) => {
      // If the disk is gone, this makes the archive close it.
      const mayBeGone = error.code === 'ARCHIVE_UNAVAILABLE' || error.code === 'ABORTED'
      if (mayBeGone) void archive.ensurePresent('disk').catch(() => { /* the archive has logged it */ })
      const dropped = limit.admit(address)
      if (dropped !== undefined) logFailure({ address, error, dropped }, init.log)
    },
  })
}

const RESULT_TEXTS: Readonly<Record<LegacyReport['result'], string>> = { OK: 'stored', PROBLEMS: 'stored with problems', HALTED: 'halted' }

function logSession ({ address, report, dropped }: { address: string, report: LegacyReport, dropped: number }, log: EventLog): void {
  const { area, result, stored, problems, problemCount, isMore } = report
  const { files, deleted } = stored
  const shown = problemCount > SHOWN_PROBLEMS ? ` (the first ${SHOWN_PROBLEMS} follow)` : ''
  log(
    { event: 'legacy-synced', protected: false, area, address, result, ...stored, problems: problemCount, more: isMore, dropped },
    `${area}: ${RESULT_TEXTS[result]}, ${formatCount(files, 'file')} sent, ${deleted} moved to versions, ` +
      `${formatCount(problemCount, 'problem')}${shown}${isMore ? ', more files to come' : ''}; the session was ${UNPROTECTED}`,
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
