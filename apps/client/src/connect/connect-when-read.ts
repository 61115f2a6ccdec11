import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import { findServer } from './find-server.ts'
import type { FindServerInit } from './find-server.ts'

/** What a connection may wait for its HELLO, with room for a slow network: the server gives `helloTimeoutMs`. */
const READ_SOON_MS = LIMITS.helloTimeoutMs / 2

/**
 * Finds the server while the tree is being read, which have nothing to do with each other until the session starts. Resolves
 * when both are there. Each connection, of which there may be two, is used as `follow` gives it back. Throws as `findServer`.
 */
export async function connectWhenRead (init: FindServerInit, scanning: Promise<unknown>, follow: (connection: Connection) => Connection): Promise<Connection> {
  const connection = follow((await findServer(init)).connection)
  if (await isReadSoon(scanning, init.clock)) return connection
  // The server is there, and would have to wait. It is told nothing yet, so that nobody's turn goes by.
  await connection.close()
  await scanning
  return follow((await findServer(init)).connection)
}

/** Whether the tree is read, or the reading has failed, before a connection would have waited too long. */
async function isReadSoon (scanning: Promise<unknown>, clock: Clock): Promise<boolean> {
  const read = scanning.then(() => true, () => true)
  const waiting = new AbortController()
  const late = wait(clock, READ_SOON_MS, waiting.signal).then(() => false, () => true)
  try {
    return await Promise.race([read, late])
  } finally {
    waiting.abort()
  }
}
