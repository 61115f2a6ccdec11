import { EventFeed } from '@filesync/program'
import type { EventLog, ListenAddress, LogEvent } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { isFileSyncError, mergeProblems } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection, ErrorCode, FileSyncError, NextSync } from '@filesync/protocol'
import { CloneWatch } from './clone-watch.ts'
import type { Health } from './health.ts'
import type { ServerMetrics } from './metrics.ts'
import { SessionBoard } from './session-board.ts'
import type { SessionObserver } from '../session/session-observer.ts'
import { SyncHistory } from './sync-history.ts'
import type { SyncRecord } from './sync-history.ts'

/** Errors that end a session though nothing failed. */
export const INTERRUPTIONS: readonly ErrorCode[] = ['SESSION_YIELDED', 'OUTSIDE_WINDOW', 'SESSION_REPLACED', 'SERVER_STOPPING', 'PAUSED']

/** The record of a session that has ended. */
export type EndedSync = Omit<SyncRecord, 'completeAtMs' | 'gaps'>

export interface MonitoredSession {
  readonly observer: SessionObserver
  /**
   * Records the end of the session: with NEXT_SYNC, with the error that ended it, or with undefined if the client only asked something.
   * Returns the record; undefined if nothing was recorded.
   */
  end (outcome: NextSync | FileSyncError | undefined): EndedSync | undefined
}

/** Collects what the server does, for status, events and metrics. */
export class Monitor {
  readonly events: EventFeed = new EventFeed()
  readonly board: SessionBoard
  readonly history: SyncHistory
  readonly clones: CloneWatch
  readonly #clock: Clock
  #metrics: ServerMetrics | undefined

  private constructor (history: SyncHistory, clock: Clock) {
    this.history = history
    this.clones = new CloneWatch(clock)
    this.#clock = clock
    this.board = new SessionBoard(clock, event => { this.#push(event) })
  }

  /** Throws STATE_INVALID. @param log gets a line if the history is damaged */
  static async open (stateDir: string, clock: Clock, log: EventLog): Promise<Monitor> {
    const history = await SyncHistory.open(stateDir, clock, aside => {
      log({ event: 'history-damaged', aside }, `the file with the times of past syncs was damaged and is now ${aside}; a new one begins`)
    })
    return new Monitor(history, clock)
  }

  /** Passes a log event on to metrics and the event feed. */
  note (event: LogEvent): void {
    this.#metrics?.noteEvent(event)
    this.#push(event)
  }

  /** Counts a refused connection, whether or not it is logged. */
  noteRefusal (code: ErrorCode): void {
    this.#metrics?.noteRefusal(code)
  }

  watch (client: string, address: string, connection: Pick<Connection, 'bytesSent' | 'bytesReceived'>): MonitoredSession {
    const observer = this.board.watch(client, address)
    return {
      observer,
      end: outcome => {
        this.board.remove(observer)
        // A client that left the queue was not served.
        if (observer.turnMs === undefined || outcome === undefined) return undefined
        const { bytesSent, bytesReceived } = connection
        const endedAtMs = this.#clock.nowMs()
        const nextInMs = isFileSyncError(outcome) ? outcome.retryInMs : outcome.inMs
        const result = resultOf(outcome, observer.info, this.history.of(client))
        const record = { client, endedAtMs, ...result, ...(nextInMs !== undefined && { nextAtMs: Math.round(endedAtMs + nextInMs) }) }
        const stored = isFileSyncError(outcome) ? { files: 0, bytes: 0 } : outcome.stored
        this.history.note(record)
        this.#metrics?.noteSession({
          result: record.result.toLowerCase() as Lowercase<SyncRecord['result']>,
          files: stored.files,
          bytes: stored.bytes,
          bytesSent,
          bytesReceived,
          durationMs: this.#clock.monotonicMs() - observer.turnMs,
        })
        return record
      },
    }
  }

  /** Serves metrics. Throws PORT_UNAVAILABLE. */
  async serveMetrics (at: ListenAddress, health: Health): Promise<MetricsPort> {
    // Loaded only if it is used, because loading it takes as long as the rest of the start.
    const { ServerMetrics } = await import('./metrics.ts')
    this.#metrics = new ServerMetrics(health)
    return await this.#metrics.serve(at)
  }

  async close (): Promise<void> {
    await this.history.close()
  }

  #push (event: LogEvent): void {
    if (this.events.hasReaders) this.events.push({ ...event, time: new Date(this.#clock.nowMs()).toISOString() })
  }
}

/** The result of a session. A problem counts if either side had it. @param before the record of the session before */
function resultOf (
  outcome: NextSync | FileSyncError, info: ClientFilesInfo | undefined, before: SyncRecord | undefined,
): Omit<SyncRecord, 'client' | 'endedAtMs' | 'completeAtMs' | 'gaps'> {
  if (isFileSyncError(outcome)) {
    const { code, message } = outcome
    // What was not stored before is still not stored.
    const { problemCount, problems } = before ?? { problemCount: 0, problems: [] }
    return { result: INTERRUPTIONS.includes(code) ? 'INTERRUPTED' : 'FAILED', code, message, problemCount, problems }
  }
  const clientProblems = info?.problems ?? []
  const { problemCount, more } = mergeProblems({ problems: clientProblems, problemCount: info?.problemCount ?? 0 }, outcome)
  return {
    result: outcome.result === 'OK' && problemCount > 0 ? 'PROBLEMS' : outcome.result,
    message: outcome.message,
    problemCount,
    problems: [...clientProblems, ...more].map(({ path, code, message }) => ({ path, code, message })),
  }
}
