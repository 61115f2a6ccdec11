import { FileSyncError, layerOver, LIMITS } from '@filesync/protocol'
import type { Clock, Connection, Incoming, Message, Tasks } from '@filesync/protocol'
import { arrivedBytes } from './arrived-bytes.ts'

export interface PatienceInit {
  readonly clock: Clock
  /** How long the client may let the server wait before it has to earn more. */
  readonly limitMs: number
  /** Size of the file that a task asks for; of those that may be read without being sent. */
  readonly sizeOf?: (task: number) => number
}

/**
 * The connection of a client whose turn it is. Waiting for the client uses patience up, and what it sends wins patience
 * back, so that nobody holds a turn by heartbeats or a trickle of bytes: where none is left, the connection ends with
 * PEER_TOO_SLOW. While the server itself is busy, and does not ask for the next frame, no time counts.
 */
export function withPatience (connection: Connection, init: PatienceInit): Connection {
  const patience = new Patience(connection, init)
  return layerOver(connection, {
    async send (message) {
      if (message.type === 'TASKS') patience.grant(readingMs(message, init))
      await connection.send(message)
    },
    receive: async (types, withinMs) => await patience.wait(connection.receive(types, withinMs)),
    next: async () => await patience.wait(connection.next()),
  })
}

/** Waits for one message with the patience that {@link withPatience} has. */
export async function withinPatience<T extends Message> (arrival: Promise<T>, connection: Connection, init: PatienceInit): Promise<T> {
  return await new Patience(connection, init).wait(arrival)
}

class Patience {
  readonly #connection: Connection
  readonly #init: PatienceInit
  #leftMs: number
  /** For reading that nothing is sent of; used when the rest is used up, and not won back. */
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
      void this.#connection.close(new FileSyncError('PEER_TOO_SLOW', 'The client did not send what it was asked for, or too little of it, for too long.'))
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

/** How long a client may read in silence to answer these tasks: what the server has of a file is hashed and not sent. */
function readingMs ({ first, tasks }: Tasks, { sizeOf }: PatienceInit): number {
  let silentBytes = 0
  for (const [i, task] of tasks.entries()) {
    if (task[2] === 'RESUME' || task[2] === 'SPARSE') silentBytes += task[3]
    else if (task[2] !== undefined) silentBytes += sizeOf?.(first + i) ?? 0
  }
  return silentBytes * 1000 / LIMITS.rereadBytesPerSecond
}
