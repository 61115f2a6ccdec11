import { FileSyncError, layerOver } from '@filesync/protocol'
import type { Clock, Connection, Incoming } from '@filesync/protocol'
import { arrivedBytes } from './arrived-bytes.ts'
import type { Schedule } from '../schedule/schedule.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import type { Flow, SharedLimit } from '../schedule/shared-limit.ts'

/** What the server ends sessions early for, or slows them down. */
export interface SessionRules {
  readonly schedule: Schedule
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
  /** How long a session may go on while others wait. */
  readonly sessionTimeMs: number
  /** Of what all sessions receive together. */
  readonly limit: SharedLimit | undefined
}

export interface SessionTurnInit {
  readonly identity: string
  readonly queue: SessionQueue
  readonly clock: Clock
  /** None: it ends by itself only. */
  readonly rules: SessionRules | undefined
}

/**
 * How much longer a session may prepare than it may send: what it did before the first file is lost with its end, so a session
 * that yields before would never come further.
 */
const PREPARATION_TIMES = 10
/** A server that is started anew takes a moment. */
const RETURN_MS = 1_000
const RETURN_SPREAD_MS = 4_000

/** One session, as far as others matter to it: whether it has to end, and how fast it may receive. */
export class SessionTurn {
  readonly #init: SessionTurnInit
  readonly #over = new AbortController()
  readonly #flow: Flow | undefined
  readonly #cancelClose: () => void
  readonly #stop = (): void => { this.#over.abort(stopping()) }
  #sinceMs: number
  #hasFiles = false

  /** Throws OUTSIDE_WINDOW or SERVER_STOPPING where no session may begin. */
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

  /** Aborted when the session has to end, with what to tell the client as the reason. */
  get signal (): AbortSignal {
    return this.#over.signal
  }

  /** The queue has let it through. */
  begin (): void {
    this.#sinceMs = this.#init.clock.monotonicMs()
  }

  /** Waits for something that ends with the session. */
  async orEnd<T> (work: Promise<T>): Promise<T> {
    const { signal } = this
    if (signal.aborted) work.catch(() => { /* nobody waits for it any more */ })
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

  /** The connection on which the session receives. What arrives is held back, and its end comes, between two frames. */
  over (connection: Connection): Connection {
    const signal = AbortSignal.any([this.signal, connection.signal])
    return layerOver(connection, {
      next: async () => {
        this.#yieldIfDue()
        const incoming = await this.orEnd(connection.next())
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

  /** What a session takes that would take so long by itself: no longer than it may while others wait. */
  boundedMs (remainingMs: number | undefined): number | undefined {
    const { rules, clock } = this.#init
    if (rules === undefined || remainingMs === undefined) return remainingMs
    return Math.min(remainingMs, Math.max(0, rules.sessionTimeMs - (clock.monotonicMs() - this.#sinceMs)))
  }

  // A turn of reading again what was sent before, at the client, must not use up the time in which files are sent.
  #startCounting (): void {
    if (this.#hasFiles) return
    this.#hasFiles = true
    this.#sinceMs = this.#init.clock.monotonicMs()
  }

  #yieldIfDue (): void {
    const { rules, clock, queue, identity } = this.#init
    if (rules === undefined) return
    const allowedMs = rules.sessionTimeMs * (this.#hasFiles ? 1 : PREPARATION_TIMES)
    if (clock.monotonicMs() - this.#sinceMs < allowedMs || !queue.asksToYield(identity)) return
    throw new FileSyncError('SESSION_YIELDED', 'The session has run for long, and others wait. What arrived is stored; the rest has its turn after them.')
  }
}

function isFile (incoming: Incoming): boolean {
  if (incoming.kind === 'message') return incoming.message.type === 'FILE_HOLE'
  return incoming.kind === 'raw' && (incoming.type === 'PACK' || incoming.type === 'DATA' || incoming.type === 'DELTA')
}

function stopping (): FileSyncError {
  return new FileSyncError('SERVER_STOPPING', 'The server is stopping. What arrived is stored; the next run goes on from there.', { retryInMs: RETURN_MS + Math.random() * RETURN_SPREAD_MS })
}
