import { FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'

/** Somebody who wants the server's attention. */
export interface Arrival {
  /** The proven identity. Each has one place at most. */
  readonly identity: string
  /** Aborted when the peer is gone; its place is given up then. */
  readonly signal: AbortSignal
  /** How long its session still takes, asked while it is being served; undefined where that cannot be told. */
  readonly remainingMs?: () => number | undefined
  /** Told at first, and whenever the position or the estimate changes; 1 is next. */
  readonly onPosition: (position: number, estimateMs: number | undefined) => void
  /** Told when the same identity arrives anew; this arrival has to leave. */
  readonly onReplaced: (error: FileSyncError) => void
}

export interface SessionQueueInit {
  /** How many are served at once. */
  readonly maxActive: number
  /** How many may wait; beyond, an arrival is turned away with SERVER_BUSY. */
  readonly maxWaiting: number
  readonly clock: Clock
}

interface Waiting {
  readonly arrival: Arrival
  readonly admit: () => void
  readonly refuse: (error: unknown) => void
  told: number
  toldEstimateMs: number | undefined
  /** Whether it came while an older session of its identity had the turn, and took its place. */
  isHeir: boolean
}

interface Active {
  readonly arrival: Arrival
  readonly sinceMs: number
  readonly isHeir: boolean
}

/** How many past sessions the estimate is made of. */
const REMEMBERED_SESSIONS = 16
/** How often those who wait are told how the estimate has changed, and by how much it has to have. */
const RETELL_EVERY_MS = 5_000
const RETELL_FROM_MS = 1_000

/**
 * First come, first served. A place belongs to an identity: who comes back after a lost connection keeps it, and the
 * older arrival is told to leave. Whose turn it is keeps the turn like that once.
 */
export class SessionQueue {
  readonly #init: SessionQueueInit
  readonly #active = new Map<string, Active>()
  #waiting: Waiting[] = []
  #cancelRetelling: (() => void) | undefined
  readonly #durationsMs: number[] = []
  /** Those that were asked to make room. */
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

  /** Who waits, the next one first. */
  get places (): { readonly identity: string, readonly position: number, readonly estimateMs: number | undefined }[] {
    const estimatesMs = this.#estimatesMs()
    return this.#waiting.map(({ arrival }, at) => ({ identity: arrival.identity, position: at + 1, estimateMs: estimatesMs[at] }))
  }

  /** Identities in the order they are served, those being served first. */
  get identities (): string[] {
    return [...this.#active.keys(), ...this.#waiting.map(({ arrival }) => arrival.identity)]
  }

  /** Whether somebody waits for whom this one has to make room; no more have to than wait. */
  asksToYield (identity: string): boolean {
    if (this.#yielding.has(identity)) return true
    const eager = this.#waiting.filter(({ arrival }) => !this.#active.has(arrival.identity)).length
    if (!this.#active.has(identity) || this.#yielding.size >= eager) return false
    this.#yielding.add(identity)
    return true
  }

  /**
   * Waits for its turn, and resolves with the function that gives the place up. Rejects with the signal's reason, with
   * SESSION_REPLACED, or with SERVER_BUSY.
   */
  async enter (arrival: Arrival): Promise<() => void> {
    arrival.signal.throwIfAborted()
    await new Promise<void>((admit, refuse) => {
      this.#place({ arrival, admit, refuse, told: 0, toldEstimateMs: undefined, isHeir: false })
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

  #place (newcomer: Waiting): void {
    const { identity } = newcomer.arrival
    const replaced = new FileSyncError('SESSION_REPLACED', 'This client connected anew; the older connection ends.')
    const at = this.#waiting.findIndex(({ arrival }) => arrival.identity === identity)
    if (at >= 0) {
      const [older] = this.#waiting.splice(at, 1, newcomer)
      newcomer.isHeir = older?.isHeir === true
      older?.arrival.onReplaced(replaced)
      older?.refuse(replaced)
      return
    }
    const active = this.#active.get(identity)
    active?.arrival.onReplaced(replaced)
    if (active !== undefined && !active.isHeir) {
      // It was its turn already, so it stays so as soon as the older session has let go. Once: who connected anew again and
      // again would hold the turn for ever.
      newcomer.isHeir = true
      this.#waiting.unshift(newcomer)
      return
    }
    if (this.#waiting.length >= this.#init.maxWaiting) {
      newcomer.refuse(new FileSyncError('SERVER_BUSY', 'Too many clients are waiting for this server. Try again later.'))
      return
    }
    this.#waiting.push(newcomer)
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
      // An identity whose older session is still letting go has to wait for that, but holds up nobody else.
      const at = this.#waiting.findIndex(({ arrival }) => !this.#active.has(arrival.identity))
      if (at < 0) break
      const [next] = this.#waiting.splice(at, 1)
      if (next === undefined) break
      this.#active.set(next.arrival.identity, { arrival: next.arrival, sinceMs: this.#init.clock.monotonicMs(), isHeir: next.isHeir })
      next.admit()
    }
    this.#tell()
  }

  /** Tells those for whom something has changed, and again for as long as somebody waits: a transfer goes on meanwhile. */
  #tell (): void {
    const estimatesMs = this.#estimatesMs()
    for (const [index, waiting] of this.#waiting.entries()) {
      const position = index + 1
      const estimateMs = estimatesMs[index]
      if (waiting.told === position && !isNews(waiting.toldEstimateMs, estimateMs)) continue
      waiting.told = position
      waiting.toldEstimateMs = estimateMs
      waiting.arrival.onPosition(position, estimateMs)
    }
    this.#cancelRetelling?.()
    this.#cancelRetelling = this.#waiting.length === 0 ? undefined : this.#init.clock.schedule(RETELL_EVERY_MS, () => { this.#tell() })
  }

  /**
   * Until when each of those who wait has its turn, in their order: those who are served take what they still have to do, and
   * those who wait as long as sessions took of late. Undefined where that is not known.
   */
  #estimatesMs (): (number | undefined)[] {
    const { maxActive, clock } = this.#init
    const count = this.#durationsMs.length
    const meanMs = count === 0 ? Infinity : this.#durationsMs.reduce((sum, durationMs) => sum + durationMs, 0) / count
    const nowMs = clock.monotonicMs()
    const freeInMs = [...this.#active.values()].map(({ arrival, sinceMs }) => {
      // One that takes longer than others did may take any time.
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

function isNews (toldMs: number | undefined, nowMs: number | undefined): boolean {
  if (toldMs === undefined || nowMs === undefined) return toldMs !== nowMs
  return Math.abs(toldMs - nowMs) >= RETELL_FROM_MS
}
