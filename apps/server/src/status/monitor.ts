import { EventFeed } from '@filesync/program'
import type { EventLog, ListenAddress, LogEvent } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { isFileSyncError, joinProblems } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection, ErrorCode, FileSyncError, NextSync } from '@filesync/protocol'
import type { Health } from './health.ts'
import type { ServerMetrics } from './metrics.ts'
import { SessionBoard } from './session-board.ts'
import type { SessionObserver } from '../session/session-observer.ts'
import { SyncHistory } from './sync-history.ts'
import type { SyncRecord } from './sync-history.ts'

/** Ends of a session that are nobody's fault. */
export const INTERRUPTIONS: readonly ErrorCode[] = ['SESSION_YIELDED', 'OUTSIDE_WINDOW', 'SESSION_REPLACED', 'SERVER_STOPPING']

/** What is noted of a session that is over. */
export type EndedSync = Omit<SyncRecord, 'completeAtMs'>

export interface MonitoredSession {
  readonly observer: SessionObserver
  /**
   * The session is over: with what the client was told, or with the error that ended it; undefined where it only asked questions.
   * Returns what is noted of it, where that is something.
   */
  end (outcome: NextSync | FileSyncError | undefined): EndedSync | undefined
}

/** Sees what the server does, for status, events and metrics. */
export class Monitor {
  readonly events: EventFeed = new EventFeed()
  readonly board: SessionBoard
  readonly history: SyncHistory
  readonly #clock: Clock
  #metrics: ServerMetrics | undefined

  private constructor (history: SyncHistory, clock: Clock) {
    this.history = history
    this.#clock = clock
    this.board = new SessionBoard(clock, event => { this.#push(event) })
  }

  /** Throws STATE_INVALID. @param log is told where the history is damaged */
  static async open (stateDir: string, clock: Clock, log: EventLog): Promise<Monitor> {
    const history = await SyncHistory.open(stateDir, clock, aside => {
      log({ event: 'history-damaged', aside }, `the times of past syncs were damaged and begin anew; the file lies at ${aside}`)
    })
    return new Monitor(history, clock)
  }

  /** A line of the log. */
  note (event: LogEvent): void {
    this.#metrics?.noteEvent(event)
    this.#push(event)
  }

  /** A connection came to nothing, whether or not there is a line about it. */
  noteRefusal (code: ErrorCode): void {
    this.#metrics?.noteRefusal(code)
  }

  watch (client: string, address: string, connection: Pick<Connection, 'bytesSent' | 'bytesReceived'>): MonitoredSession {
    const observer = this.board.watch(client, address)
    return {
      observer,
      end: outcome => {
        this.board.remove(observer)
        // Who left the queue was not served.
        if (observer.turnMs === undefined || outcome === undefined) return undefined
        const { bytesSent, bytesReceived } = connection
        const endedAtMs = this.#clock.nowMs()
        const nextInMs = isFileSyncError(outcome) ? outcome.retryInMs : outcome.inMs
        const judged = judge(outcome, observer.info, this.history.of(client))
        const record = { client, endedAtMs, ...judged, ...(nextInMs !== undefined && { nextAtMs: Math.round(endedAtMs + nextInMs) }) }
        const stored = isFileSyncError(outcome) ? { files: 0, bytes: 0 } : outcome.stored
        this.history.note(record)
        this.#metrics?.noteSession({
          result: record.result.toLowerCase() as Lowercase<SyncRecord['result']>,
          files: stored.files, bytes: stored.bytes, bytesSent, bytesReceived, durationMs: this.#clock.monotonicMs() - observer.turnMs,
        })
        return record
      },
    }
  }

  /** Shows metrics. Throws PORT_UNAVAILABLE. */
  async serveMetrics (at: ListenAddress, health: Health): Promise<MetricsPort> {
    // Loaded by those alone who want it: it takes as long as all else at the start.
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

/** Trouble is what either side had with an entry. @param before the session before this one */
function judge (
  outcome: NextSync | FileSyncError, info: ClientFilesInfo | undefined, before: SyncRecord | undefined,
): Omit<SyncRecord, 'client' | 'endedAtMs' | 'completeAtMs'> {
  if (isFileSyncError(outcome)) {
    const { code, message } = outcome
    // What could not be stored before is not stored now either.
    const { problemCount, problems } = before ?? { problemCount: 0, problems: [] }
    return { result: INTERRUPTIONS.includes(code) ? 'INTERRUPTED' : 'FAILED', code, message, problemCount, problems }
  }
  const told = info?.problems ?? []
  const { problemCount, more } = joinProblems({ problems: told, problemCount: info?.problemCount ?? 0 }, outcome)
  return {
    result: outcome.result === 'OK' && problemCount > 0 ? 'PROBLEMS' : outcome.result,
    message: outcome.message,
    problemCount,
    problems: [...told, ...more].map(({ path, code, message }) => ({ path, code, message })),
  }
}
