import type { SyncPlan } from '@filesync/archive'
import type { ClientFilesInfo, Clock, StagingArea } from '@filesync/protocol'
import { ProgressMeter } from '@filesync/transfer'
import type { ReceiveProgress } from '@filesync/transfer'
import type { SessionObserver } from '../session/session-observer.ts'

/** A session that has its turn, as `status` shows it. */
export interface SessionRow {
  readonly client: string
  readonly address: string
  /** When its turn began; ISO 8601. */
  readonly startedAt: string
  readonly doing: 'comparing' | 'receiving'
  /** Files and bytes that have arrived, and how many were requested. */
  readonly files: number
  readonly filesWanted: number
  readonly bytes: number
  readonly bytesWanted: number
  readonly bytesPerSecond: number
  /** Milliseconds to the end; null while that is unknown. */
  readonly remainingMs: number | null
  /** The large file that began last; null if none did. Small files arrive many at once. */
  readonly path: string | null
}

/** An event of a session, as the event feed reports it. */
export type SessionEvent =
  | { readonly event: 'waiting', readonly client: string, readonly position: number, readonly estimateMs?: number }
  | { readonly event: 'turn', readonly client: string, readonly address: string }
  | { readonly event: 'progress' } & Pick<SessionRow, 'client' | 'files' | 'filesWanted' | 'bytes' | 'bytesWanted' | 'bytesPerSecond'>

/** Progress events are at least this far apart. */
const PROGRESS_EVERY_MS = 1_000

/** The current state of every session. */
export class SessionBoard {
  readonly #clock: Clock
  readonly #report: (event: SessionEvent) => void
  readonly #sessions = new Set<WatchedSession>()

  constructor (clock: Clock, report: (event: SessionEvent) => void) {
    this.#clock = clock
    this.#report = report
  }

  /** The sessions that have their turn. */
  get rows (): SessionRow[] {
    return [...this.#sessions].flatMap(session => session.row ?? [])
  }

  /** Begins to watch a session, when its connection opens. */
  watch (client: string, address: string): WatchedSession {
    const session = new WatchedSession({ client, address }, this.#clock, this.#report)
    this.#sessions.add(session)
    return session
  }

  /** Removes a session that has ended. */
  remove (session: WatchedSession): void {
    this.#sessions.delete(session)
  }
}

/** Observes one session for the board. */
export class WatchedSession implements SessionObserver {
  readonly #who: { readonly client: string, readonly address: string }
  readonly #clock: Clock
  readonly #report: (event: SessionEvent) => void
  readonly #meter: ProgressMeter
  #startedAt: string | undefined
  #reportedMs = -Infinity
  #plan: SyncPlan | undefined
  /** When its turn began, on the monotonic clock; undefined while it waits. */
  turnMs: number | undefined
  /** CLIENT_FILES_INFO; undefined before it arrives. */
  info: ClientFilesInfo | undefined

  constructor (who: { readonly client: string, readonly address: string }, clock: Clock, report: (event: SessionEvent) => void) {
    this.#who = who
    this.#clock = clock
    this.#report = report
    this.#meter = new ProgressMeter(() => { /* rows are computed on request */ }, clock.monotonicMs())
  }

  /** Undefined while it waits for its turn. */
  get row (): SessionRow | undefined {
    if (this.#startedAt === undefined) return undefined
    this.#meter.update(this.#clock.monotonicMs())
    const { files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path } = this.#meter.snapshot()
    return {
      ...this.#who,
      startedAt: this.#startedAt,
      doing: this.#plan === undefined ? 'comparing' : 'receiving',
      files,
      filesWanted,
      bytes,
      bytesWanted,
      bytesPerSecond: Math.round(bytesPerSecond),
      remainingMs: remainingMs === undefined ? null : Math.round(remainingMs),
      path: path ?? null,
    }
  }

  onWaiting (position: number, estimateMs: number | undefined): void {
    this.#report({ event: 'waiting', client: this.#who.client, position, ...(estimateMs !== undefined && { estimateMs }) })
  }

  onTurn (): void {
    this.turnMs = this.#clock.monotonicMs()
    this.#startedAt = new Date(this.#clock.nowMs()).toISOString()
    this.#report({ event: 'turn', ...this.#who })
  }

  remainingMs (): number | undefined {
    return this.#plan === undefined ? undefined : this.row?.remainingMs ?? undefined
  }

  onTree (info: ClientFilesInfo): void {
    this.info = info
  }

  onPlan (plan: SyncPlan): void {
    this.#meter.startRates(this.#clock.monotonicMs())
    this.#plan = plan
    this.#meter.filesWanted = plan.taskCount
    this.#meter.bytesWanted = plan.bytes
    this.#meter.isTotalKnown = true
  }

  onProgress ({ files, bytes, carriedBytes }: ReceiveProgress): void {
    const nowMs = this.#clock.monotonicMs()
    this.#meter.files = files
    this.#meter.bytes = bytes
    this.#meter.carriedBytes = carriedBytes
    // When a resumed file is complete, all of it counts, including what was there before.
    this.#meter.skippedBytes = bytes - carriedBytes
    this.#meter.update(nowMs)
    if (nowMs - this.#reportedMs < PROGRESS_EVERY_MS) return
    this.#reportedMs = nowMs
    const { filesWanted, bytesWanted, bytesPerSecond } = this.#meter.snapshot()
    const progress = { files, filesWanted, bytes, bytesWanted, bytesPerSecond: Math.round(bytesPerSecond) }
    this.#report({ event: 'progress', client: this.#who.client, ...progress })
  }

  observeStaging (staging: StagingArea, plan: SyncPlan): StagingArea {
    return {
      stagePack: async (pack, reuse) => await staging.stagePack(pack, reuse),
      compareDigests: async files => await staging.compareDigests(files),
      beginFile: async (task, offset) => {
        this.#meter.path = plan.describe(task).path
        return await staging.beginFile(task, offset)
      },
    }
  }
}
