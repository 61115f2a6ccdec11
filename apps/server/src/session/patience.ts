import { FileSyncError, LIMITS, wrapConnection } from '@filesync/protocol'
import type { Clock, Connection, Incoming, Message, Tasks } from '@filesync/protocol'
import { arrivedBytes } from './arrived-bytes.ts'

/*
 * How long may a client keep the server waiting during its turn?
 *
 * - `LIMITS.turnTimeoutMs` for CLIENT_FILES_INFO, and again for its listings.
 * - `LIMITS.answerTimeoutMs` for files.
 * - Each byte received wins time back, as if `LIMITS.leastBytesPerSecond` were its due rate, up to the limit.
 * - A task for which the client reads a file without sending it (RESUME, DELTA, DIGEST, SPARSE) grants extra time once, at
 *   `LIMITS.rereadBytesPerSecond`.
 *
 * A client that is silent altogether, without heartbeats, is cut off earlier by the connection (`LIMITS.idleTimeoutMs`). How long a
 * turn may last is decided in session-turn.ts; how long a client waits for its turn, in ../schedule/session-queue.ts.
 */

export interface PatienceInit {
  readonly clock: Clock
  /** How long the client may keep the server waiting before it has to earn more time. */
  readonly limitMs: number
  /** Size of the file that a task asks for. */
  readonly sizeOf?: (task: number) => number
}

/**
 * The connection of a client during its turn. The wait for the client is measured; if the limit is used up, the connection closes
 * with PEER_TOO_SLOW. What the client sends wins time back, so that heartbeats or a trickle of bytes do not hold a turn. While the
 * server itself is busy and does not ask for the next frame, no time counts.
 */
export function withPatience (connection: Connection, init: PatienceInit): Connection {
  const patience = new Patience(connection, init)
  return wrapConnection(connection, {
    async send (message) {
      if (message.type === 'TASKS') patience.grant(readingMs(message, init))
      await connection.send(message)
    },
    receive: async (types, withinMs) => await patience.wait(connection.receive(types, withinMs)),
    next: async () => await patience.wait(connection.next()),
  })
}

/** Waits for one message under the same limit as {@link withPatience}. */
export async function withinPatience<T extends Message> (arrival: Promise<T>, connection: Connection, init: PatienceInit): Promise<T> {
  return await new Patience(connection, init).wait(arrival)
}

class Patience {
  readonly #connection: Connection
  readonly #init: PatienceInit
  #leftMs: number
  /** Time for files that the client reads but does not send. It is used last, and not won back. */
  #grantedMs = 0

  constructor (connection: Connection, init: PatienceInit) {
    this.#connection = connection
    this.#init = init
    this.#leftMs = init.limitMs
  }

  grant (delayMs: number): void {
    this.#grantedMs += delayMs
  }

  async wait<T extends Incoming | Message> (arrival: Promise<T>): Promise<T> {
    const { clock } = this.#init
    const sinceMs = clock.monotonicMs()
    const cancel = clock.schedule(this.#leftMs + this.#grantedMs, () => {
      const message = 'The client sent nothing, or too little, of what it was asked for, and the time for it is used up.'
      void this.#connection.close(new FileSyncError('PEER_TOO_SLOW', message))
    })
    try {
      const arrived = await arrival
      this.#use(clock.monotonicMs() - sinceMs)
      const earnedMs = arrivedBytes(arrived) * 1000 / LIMITS.leastBytesPerSecond
      this.#leftMs = Math.min(this.#leftMs + earnedMs, this.#init.limitMs)
      return arrived
    } finally {
      cancel()
    }
  }

  #use (waitedMs: number): void {
    const overMs = Math.max(0, waitedMs - this.#leftMs)
    this.#leftMs -= waitedMs - overMs
    this.#grantedMs = Math.max(0, this.#grantedMs - overMs)
  }
}

/** How long a client may read in silence to answer these tasks: it hashes what the server already has, and does not send it. */
function readingMs ({ first, tasks }: Tasks, { sizeOf }: PatienceInit): number {
  let silentBytes = 0
  for (const [i, task] of tasks.entries()) {
    if (task[2] === 'RESUME' || task[2] === 'SPARSE') silentBytes += task[3]
    else if (task[2] !== undefined) silentBytes += sizeOf?.(first + i) ?? 0
  }
  return silentBytes * 1000 / LIMITS.rereadBytesPerSecond
}
