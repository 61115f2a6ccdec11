import type { SyncPlan } from '@filesync/archive'
import type { ClientFilesInfo, Clock, StagingArea } from '@filesync/protocol'
import { ProgressMeter } from '@filesync/transfer'
import type { ReceiveProgress } from '@filesync/transfer'
import type { SessionObserver } from '../session/session-observer.ts'

/** A session that is being served, as `status` shows it. */
export interface SessionRow {
  readonly client: string
  readonly address: string
  /** When its turn began; ISO 8601. */
  readonly startedAt: string
  readonly doing: 'comparing' | 'receiving'
  /** Files and bytes that have arrived, of those that are asked for. */
  readonly files: number
  readonly filesWanted: number
  readonly bytes: number
  readonly bytesWanted: number
  readonly bytesPerSecond: number
  /** Milliseconds to the end, where that can be told. */
  readonly remainingMs: number | null
  /** The large file that came last; small ones come many at once. */
  readonly path: string | null
}

/** Something that happens in sessions; a row of the feed of events. */
export type SessionEvent =
  | { readonly event: 'waiting', readonly client: string, readonly position: number, readonly estimateMs?: number }
  | { readonly event: 'turn', readonly client: string, readonly address: string }
  | { readonly event: 'progress' } & Pick<SessionRow, 'client' | 'files' | 'filesWanted' | 'bytes' | 'bytesWanted' | 'bytesPerSecond'>

/** Events of progress are at least this far apart. */
const PROGRESS_EVERY_MS = 1_000

/** What every session does at the moment. */
export class SessionBoard {
  readonly #clock: Clock
  readonly #tell: (event: SessionEvent) => void
  readonly #sessions = new Set<WatchedSession>()

  constructor (clock: Clock, tell: (event: SessionEvent) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** Those whose turn it is. */
  get rows (): SessionRow[] {
    return [...this.#sessions].flatMap(session => session.row ?? [])
  }

  /** Watches one session from its connection on. */
  watch (client: string, address: string): WatchedSession {
    const session = new WatchedSession({ client, address }, this.#clock, this.#tell)
    this.#sessions.add(session)
    return session
  }

  /** Takes a session off the board. */
  remove (session: WatchedSession): void {
    this.#sessions.delete(session)
  }
}

/** A session that is looked at. */
export class WatchedSession implements SessionObserver {
  readonly #who: { readonly client: string, readonly address: string }
  readonly #clock: Clock
  readonly #tell: (event: SessionEvent) => void
  readonly #meter: ProgressMeter
  #startedAt: string | undefined
  #toldMs = -Infinity
  #plan: SyncPlan | undefined
  /** When its turn began; monotonic. Undefined while it waits for that. */
  turnMs: number | undefined
  /** What the client said of its tree. */
  info: ClientFilesInfo | undefined

  constructor (who: { readonly client: string, readonly address: string }, clock: Clock, tell: (event: SessionEvent) => void) {
    this.#who = who
    this.#clock = clock
    this.#tell = tell
    this.#meter = new ProgressMeter(() => { /* rows are made when they are asked for */ }, clock.monotonicMs())
  }

  /** Undefined while it waits for its turn. */
  get row (): SessionRow | undefined {
    if (this.#startedAt === undefined) return undefined
    this.#meter.update(this.#clock.monotonicMs())
    const { files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path } = this.#meter.snapshot()
    return {
      ...this.#who, startedAt: this.#startedAt, doing: this.#plan === undefined ? 'comparing' : 'receiving',
      files, filesWanted, bytes, bytesWanted,
      bytesPerSecond: Math.round(bytesPerSecond), remainingMs: remainingMs === undefined ? null : Math.round(remainingMs), path: path ?? null,
    }
  }

  onWaiting (position: number, estimateMs: number | undefined): void {
    this.#tell({ event: 'waiting', client: this.#who.client, position, ...(estimateMs !== undefined && { estimateMs }) })
  }

  onTurn (): void {
    this.turnMs = this.#clock.monotonicMs()
    this.#startedAt = new Date(this.#clock.nowMs()).toISOString()
    this.#tell({ event: 'turn', ...this.#who })
  }

  remainingMs (): number | undefined {
    return this.#plan === undefined ? undefined : this.row?.remainingMs ?? undefined
  }

  onTree (info: ClientFilesInfo): void {
    this.info = info
  }

  onPlan (plan: SyncPlan): void {
    this.#meter.begin(this.#clock.monotonicMs())
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
    // Of a file that goes on all counts at its end, also what was there before.
    this.#meter.skippedBytes = bytes - carriedBytes
    this.#meter.update(nowMs)
    if (nowMs - this.#toldMs < PROGRESS_EVERY_MS) return
    this.#toldMs = nowMs
    const { filesWanted, bytesWanted, bytesPerSecond } = this.#meter.snapshot()
    this.#tell({ event: 'progress', client: this.#who.client, files, filesWanted, bytes, bytesWanted, bytesPerSecond: Math.round(bytesPerSecond) })
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
