import { FileSyncError, LIMITS } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection } from '@filesync/protocol'
import { withinPatience } from './patience.ts'

/** CLIENT_FILES_INFO of a client that is waiting for its turn. */
export interface AwaitedTree {
  /** The turn has begun, so the message may arrive from now on. */
  allow (): void
  /** Waits for the message, for `LIMITS.turnTimeoutMs` at most. */
  arrives (): Promise<ClientFilesInfo>
}

/**
 * Listens for CLIENT_FILES_INFO from HELLO on. A client that sends anything while it waits for its turn loses its session;
 * otherwise what it sends would pile up in memory.
 */
export function awaitTree (connection: Connection, clock: Clock): AwaitedTree {
  let isAllowed = false
  const arrival = connection.receive(['CLIENT_FILES_INFO']).then(info => {
    if (isAllowed) return info
    const early = new FileSyncError('MESSAGE_UNEXPECTED', 'The client sent CLIENT_FILES_INFO before its turn began.')
    void connection.close(early)
    throw early
  })
  arrival.catch(() => { /* the connection is over; the queue and `arrives` notice that themselves */ })
  return {
    allow: () => { isAllowed = true },
    arrives: async () => await withinPatience(arrival, connection, { clock, limitMs: LIMITS.turnTimeoutMs }),
  }
}
