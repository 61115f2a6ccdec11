import { FileSyncError, wrapConnection } from '@filesync/protocol'
import type { Clock, Connection, Incoming } from '@filesync/protocol'
import { arrivedBytes } from './arrived-bytes.ts'
import type { Schedule } from '../schedule/schedule.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import type { Flow, SharedLimit } from '../schedule/shared-limit.ts'

/*
 * How long does a turn last? It ends early:
 *
 * - with SESSION_YIELDED, if another client is waiting and the session has received files for `sessionTimeMs` (`--session-time`), or
 *   has prepared for `PREPARATION_FACTOR` times as long without receiving one. If no other client waits, it continues.
 * - with OUTSIDE_WINDOW, when the window in which syncs are allowed closes (`--window`).
 * - with SERVER_STOPPING, when the server is stopped.
 *
 * This is checked between two frames. What arrived by then is committed, and the turn ends after that.
 */

/** Why and when the server ends sessions early, and how far it slows them down. */
export interface SessionRules {
  readonly schedule: Schedule
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
  /** How long a session may go on while others wait. */
  readonly sessionTimeMs: number
  /** Limits what all sessions together receive; undefined for no limit. */
  readonly limit: SharedLimit | undefined
}

export interface SessionTurnInit {
  readonly identity: string
  readonly queue: SessionQueue
  readonly clock: Clock
  /** Undefined: the session is never ended early. */
  readonly rules: SessionRules | undefined
}

/**
 * How much longer a session may prepare than it may receive files. What it did before the first file is lost when it ends, so a
 * session that yielded then would make no progress, however often it returned.
 */
const PREPARATION_FACTOR = 10
/** A restarted server takes a moment; clients return to it spread over some seconds. */
const RETURN_MS = 1_000
const RETURN_SPREAD_MS = 4_000

/** The limits that one session has because of others: when it must end, and how fast it may receive. */
export class SessionTurn {
  readonly #init: SessionTurnInit
  readonly #over = new AbortController()
  readonly #flow: Flow | undefined
  readonly #cancelClose: () => void
  readonly #stop = (): void => { this.#over.abort(stopping()) }
  #sinceMs: number
  #hasFiles = false

  /** Throws OUTSIDE_WINDOW or SERVER_STOPPING if no session may begin now. */
  constructor (init: SessionTurnInit) {
    const { rules, clock } = init
    this.#init = init
    this.#sinceMs = clock.monotonicMs()
    if (rules?.stopping.aborted === true) throw stopping()
    rules?.schedule.admit()
    this.#flow = rules?.limit?.open()
    rules?.stopping.addEventListener('abort', this.#stop, { once: true })
    this.#cancelClose = rules?.schedule.onClose(error => { this.#over.abort(error) }) ?? ((): void => { /* nothing was scheduled */ })
  }

  /** Aborted when the session has to end; the reason is the error that the client receives. */
  get signal (): AbortSignal {
    return this.#over.signal
  }

  /** The queue has admitted the session. */
  begin (): void {
    this.#sinceMs = this.#init.clock.monotonicMs()
  }

  /** Waits for `work`, or rejects when the session has to end. */
  async race<T> (work: Promise<T>): Promise<T> {
    const { signal } = this
    if (signal.aborted) work.catch(() => { /* the rejection is not used */ })
    signal.throwIfAborted()
    let stop: (() => void) | undefined
    const ended = new Promise<never>((_, reject) => {
      stop = () => { reject(signal.reason as Error) }
      signal.addEventListener('abort', stop, { once: true })
    })
    try {
      return await Promise.race([work, ended])
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop)
    }
  }

  /** Wraps the connection so that between two frames the session ends if it has to, and receiving is throttled to the rate limit. */
  wrap (connection: Connection): Connection {
    const signal = AbortSignal.any([this.signal, connection.signal])
    return wrapConnection(connection, {
      next: async () => {
        this.#yieldIfDue()
        const incoming = await this.race(connection.next())
        if (isFile(incoming)) this.#startCounting()
        await this.#flow?.take(arrivedBytes(incoming), signal)
        return incoming
      },
    })
  }

  end (): void {
    this.#cancelClose()
    this.#init.rules?.stopping.removeEventListener('abort', this.#stop)
  }

  /** The time that a session still takes while others wait: its own estimate, but no more than it is allowed. */
  capRemainingMs (remainingMs: number | undefined): number | undefined {
    const { rules, clock } = this.#init
    if (rules === undefined || remainingMs === undefined) return remainingMs
    return Math.min(remainingMs, Math.max(0, rules.sessionTimeMs - (clock.monotonicMs() - this.#sinceMs)))
  }

  // The client may first have to read again what it sent before; that must not use up the time for sending files.
  #startCounting (): void {
    if (this.#hasFiles) return
    this.#hasFiles = true
    this.#sinceMs = this.#init.clock.monotonicMs()
  }

  #yieldIfDue (): void {
    const { rules, clock, queue, identity } = this.#init
    if (rules === undefined) return
    const allowedMs = rules.sessionTimeMs * (this.#hasFiles ? 1 : PREPARATION_FACTOR)
    if (clock.monotonicMs() - this.#sinceMs < allowedMs || !queue.mustYield(identity)) return
    const message = 'Other clients are waiting. What arrived is stored; the rest follows when they have had their turn.'
    throw new FileSyncError('SESSION_YIELDED', message)
  }
}

function isFile (incoming: Incoming): boolean {
  if (incoming.kind === 'message') return incoming.message.type === 'FILE_HOLE'
  return incoming.kind === 'raw' && (incoming.type === 'PACK' || incoming.type === 'DATA' || incoming.type === 'DELTA')
}

function stopping (): FileSyncError {
  const message = 'The server is stopping. What arrived is stored; the next run continues from there.'
  return new FileSyncError('SERVER_STOPPING', message, { retryInMs: RETURN_MS + Math.random() * RETURN_SPREAD_MS })
}
