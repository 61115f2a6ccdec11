import { FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'

/*
 * What happens while the server is busy?
 *
 * - `maxActive` sessions (`--max-sessions`) have their turn at once. Up to `maxWaiting` (`MAX_WAITING` in ../server.ts) arrivals wait,
 *   first come, first served. Any further one is refused with SERVER_BUSY.
 * - A waiting client receives BUSY with its position and an estimate: at once, and again when the position changes or the estimate
 *   has changed by `REPORT_FROM_MS` or more, which is checked at least every `REPORT_EVERY_MS`. One whose turn is not near receives
 *   it at most once in `QUIET_MS`, or in `QUIET_MS_PER_POSITION` times its position if that is longer: with a message to each
 *   for each turn, a thousand turns would take half a million of them. This way they are at most some 400 a second.
 * - Waiting has no time limit. It ends early with OUTSIDE_WINDOW or SERVER_STOPPING, like a turn; see ../session/session-turn.ts.
 *
 * What is the longest that a client waits for its turn? Each session before it has to yield once it has received files
 * for `sessionTimeMs` (`--session-time`, 30 minutes by default), and before its first file after `PREPARATION_FACTOR` (10) times as
 * long; see ../session/session-turn.ts. A client that keeps the server waiting loses its turn earlier; see ../session/patience.ts.
 */

/** A client that asks for a turn. */
export interface Arrival {
  /** The proven identity. Each identity has at most one place. */
  readonly identity: string
  /** The run of the client's machine; see "One key on two machines" in docs/protocol.md. */
  readonly mark?: string | undefined
  /** Whether it replaces an arrival of its identity with another mark, as it does by default; otherwise it is refused with SERVER_BUSY. */
  readonly replacesOthers?: boolean
  /** Aborted when the client is gone; it then loses its place. */
  readonly signal: AbortSignal
  /** How long its session will still take, asked while it has its turn; undefined while that is unknown. */
  readonly remainingMs?: () => number | undefined
  /** Called at first, and whenever the position or the estimate changes. Position 1 is next. */
  readonly onPosition: (position: number, estimateMs: number | undefined) => void
  /** Called when the same identity arrives again; this arrival has to leave. */
  readonly onReplaced: (error: FileSyncError) => void
}

export interface SessionQueueInit {
  /** How many have their turn at once. */
  readonly maxActive: number
  /** How many may wait. Further arrivals are refused with SERVER_BUSY. */
  readonly maxWaiting: number
  readonly clock: Clock
}

interface WaitingArrival {
  readonly arrival: Arrival
  readonly admit: () => void
  readonly refuse: (error: unknown) => void
  reportedPosition: number
  reportedEstimateMs: number | undefined
  reportedAtMs: number
  /** Whether it replaced a session of its identity that had the turn, and so is next. */
  inheritsTurn: boolean
}

interface ActiveArrival {
  readonly arrival: Arrival
  readonly sinceMs: number
  readonly inheritedTurn: boolean
}

/** The estimate is the mean duration of this many past sessions. */
const REMEMBERED_SESSIONS = 16
/** How often changes of the estimate are reported, and how large a change has to be. */
const REPORT_EVERY_MS = 5_000
const REPORT_FROM_MS = 1_000
/** Up to this position, every change is reported at once. */
const NEAR_POSITION = 8
/** The shortest time between two reports to a client that is further away, and the same for each position. */
const QUIET_MS = 1_000
const QUIET_MS_PER_POSITION = 10
/** Reports that are due within this time are made together. */
const REPORT_STEP_MS = 100
/** When the second of two machines with one key may come again. */
const OTHER_MACHINE_RETRY_MS = 60_000

/**
 * First come, first served. A place belongs to an identity: a client that reconnects keeps its place, and its older arrival has to
 * leave. A client that reconnects during its turn is next, but only once.
 */
export class SessionQueue {
  readonly #init: SessionQueueInit
  readonly #active = new Map<string, ActiveArrival>()
  #waiting: WaitingArrival[] = []
  #cancelReport: (() => void) | undefined
  readonly #durationsMs: number[] = []
  /** Those that have to yield. */
  readonly #yielding = new Set<string>()

  constructor (init: SessionQueueInit) {
    this.#init = init
  }

  get activeCount (): number {
    return this.#active.size
  }

  get waitingCount (): number {
    return this.#waiting.length
  }

  /** The waiting clients, the next one first. */
  get places (): { readonly identity: string, readonly position: number, readonly estimateMs: number | undefined }[] {
    const estimatesMs = this.#estimatesMs()
    return this.#waiting.map(({ arrival }, at) => ({ identity: arrival.identity, position: at + 1, estimateMs: estimatesMs[at] }))
  }

  /** All identities: those that have their turn, then those that wait, in order. */
  get identities (): string[] {
    return [...this.#active.keys(), ...this.#waiting.map(({ arrival }) => arrival.identity)]
  }

  /** Whether this active client has to make room for a waiting one. No more clients have to yield than wait. */
  mustYield (identity: string): boolean {
    if (this.#yielding.has(identity)) return true
    const waitingCount = this.#waiting.filter(({ arrival }) => !this.#active.has(arrival.identity)).length
    if (!this.#active.has(identity) || this.#yielding.size >= waitingCount) return false
    this.#yielding.add(identity)
    return true
  }

  /**
   * Waits for the arrival's turn. Resolves with the function that ends it. Rejects with the signal's reason, with
   * SESSION_REPLACED, or with SERVER_BUSY.
   */
  async enter (arrival: Arrival): Promise<() => void> {
    arrival.signal.throwIfAborted()
    await new Promise<void>((admit, refuse) => {
      const reported = { reportedPosition: 0, reportedEstimateMs: undefined, reportedAtMs: -Infinity }
      this.#place({ arrival, admit, refuse, inheritsTurn: false, ...reported })
      arrival.signal.addEventListener('abort', () => { this.#withdraw(arrival) }, { once: true })
      this.#advance()
    })
    let left = false
    return () => {
      if (left) return
      left = true
      this.#leave(arrival)
    }
  }

  #place (newcomer: WaitingArrival): void {
    const { identity } = newcomer.arrival
    if (this.#mustLeaveOther(newcomer.arrival)) {
      const what = 'Another machine with the key of this client is being served, and two machines must not end each other\'s sessions.'
      newcomer.refuse(new FileSyncError('SERVER_BUSY', `${what} Pair one of them again, after removing its state directory.`, {
        retryInMs: OTHER_MACHINE_RETRY_MS,
      }))
      return
    }
    const replaced = new FileSyncError('SESSION_REPLACED', 'This client connected again, so its older connection was closed.')
    const at = this.#waiting.findIndex(({ arrival }) => arrival.identity === identity)
    if (at >= 0) {
      const [older] = this.#waiting.splice(at, 1, newcomer)
      newcomer.inheritsTurn = older?.inheritsTurn === true
      older?.arrival.onReplaced(replaced)
      older?.refuse(replaced)
      return
    }
    const active = this.#active.get(identity)
    active?.arrival.onReplaced(replaced)
    if (active !== undefined && !active.inheritedTurn) {
      // The client keeps its turn and continues when the older session has ended. Only once: otherwise a client that reconnects
      // repeatedly would keep the turn forever.
      newcomer.inheritsTurn = true
      this.#waiting.unshift(newcomer)
      return
    }
    if (this.#waiting.length >= this.#init.maxWaiting) {
      newcomer.refuse(new FileSyncError('SERVER_BUSY', 'Too many clients are waiting for this server. Try again later.'))
      return
    }
    this.#waiting.push(newcomer)
  }

  /** Whether a session of another machine with the same key goes on, which this arrival must not end. */
  #mustLeaveOther ({ identity, mark, replacesOthers = true }: Arrival): boolean {
    if (replacesOthers) return false
    const others = [this.#active.get(identity)?.arrival, ...this.#waiting.map(({ arrival }) => arrival)]
    return others.some(other => other?.identity === identity && other.mark !== mark)
  }

  #withdraw (arrival: Arrival): void {
    const at = this.#waiting.findIndex(waiting => waiting.arrival === arrival)
    if (at < 0) return
    const [gone] = this.#waiting.splice(at, 1)
    gone?.refuse(arrival.signal.reason)
    this.#advance()
  }

  #leave (arrival: Arrival): void {
    const active = this.#active.get(arrival.identity)
    if (active?.arrival !== arrival) return
    this.#active.delete(arrival.identity)
    this.#yielding.delete(arrival.identity)
    this.#durationsMs.push(this.#init.clock.monotonicMs() - active.sinceMs)
    if (this.#durationsMs.length > REMEMBERED_SESSIONS) this.#durationsMs.shift()
    this.#advance()
  }

  #advance (): void {
    while (this.#active.size < this.#init.maxActive) {
      // An identity whose older session is still ending has to wait for that, but it does not hold up others.
      const at = this.#waiting.findIndex(({ arrival }) => !this.#active.has(arrival.identity))
      if (at < 0) break
      const [next] = this.#waiting.splice(at, 1)
      if (next === undefined) break
      const { arrival, inheritsTurn: inheritedTurn } = next
      this.#active.set(arrival.identity, { arrival, sinceMs: this.#init.clock.monotonicMs(), inheritedTurn })
      next.admit()
    }
    this.#report()
  }

  /** Reports to each waiting client what has changed for it, if it is due, and schedules the next report while anyone waits. */
  #report (): void {
    const estimatesMs = this.#estimatesMs()
    const nowMs = this.#init.clock.monotonicMs()
    let nextMs = REPORT_EVERY_MS
    for (const [index, waiting] of this.#waiting.entries()) {
      const position = index + 1
      const estimateMs = estimatesMs[index]
      if (waiting.reportedPosition === position && !hasChanged(waiting.reportedEstimateMs, estimateMs)) continue
      const dueInMs = waiting.reportedAtMs + quietMs(position) - nowMs
      if (dueInMs > 0) {
        nextMs = Math.min(nextMs, Math.max(dueInMs, REPORT_STEP_MS))
        continue
      }
      waiting.reportedPosition = position
      waiting.reportedEstimateMs = estimateMs
      waiting.reportedAtMs = nowMs
      waiting.arrival.onPosition(position, estimateMs)
    }
    this.#cancelReport?.()
    this.#cancelReport = this.#waiting.length === 0 ? undefined : this.#init.clock.schedule(nextMs, () => { this.#report() })
  }

  /**
   * Milliseconds until each waiting client has its turn, in order. Active sessions count with the time they still need, waiting
   * ones with the mean of past sessions. Undefined if unknown.
   */
  #estimatesMs (): (number | undefined)[] {
    const { maxActive, clock } = this.#init
    const count = this.#durationsMs.length
    const meanMs = count === 0 ? Infinity : this.#durationsMs.reduce((sum, durationMs) => sum + durationMs, 0) / count
    const nowMs = clock.monotonicMs()
    const freeInMs = [...this.#active.values()].map(({ arrival, sinceMs }) => {
      // Once a session has run for longer than the mean, nothing is known about its end.
      const leftMs = meanMs - (nowMs - sinceMs)
      return arrival.remainingMs?.() ?? (leftMs > 0 ? leftMs : Infinity)
    })
    while (freeInMs.length < maxActive) freeInMs.push(0)
    return this.#waiting.map(() => {
      const soonest = freeInMs.indexOf(Math.min(...freeInMs))
      const estimateMs = freeInMs[soonest] ?? Infinity
      freeInMs[soonest] = estimateMs + meanMs
      return Number.isFinite(estimateMs) ? Math.round(estimateMs) : undefined
    })
  }
}

function hasChanged (reportedMs: number | undefined, nowMs: number | undefined): boolean {
  if (reportedMs === undefined || nowMs === undefined) return reportedMs !== nowMs
  return Math.abs(reportedMs - nowMs) >= REPORT_FROM_MS
}

/** How long a client at this position receives no second report. */
function quietMs (position: number): number {
  return position <= NEAR_POSITION ? 0 : Math.max(QUIET_MS, position * QUIET_MS_PER_POSITION)
}
