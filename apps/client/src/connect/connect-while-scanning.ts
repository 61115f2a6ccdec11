import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import { connectToServer } from './connect-to-server.ts'
import type { ConnectToServerInit } from './connect-to-server.ts'

/** How long a connection waits for the scan before HELLO. The server allows `helloTimeoutMs`; half of it is left for a slow network. */
const SCAN_GRACE_MS = LIMITS.helloTimeoutMs / 2

/**
 * Connects to the server while the tree is being scanned, and resolves with the connection when both are done. If the scan takes
 * too long, the first connection is closed and a second one is made after the scan. Throws what {@link connectToServer} throws.
 *
 * @param onConnected called with each connection as soon as it is made
 */
export async function connectWhileScanning (
  init: ConnectToServerInit, scanning: Promise<unknown>, onConnected?: (connection: Connection) => void,
): Promise<Connection> {
  const { connection } = await connectToServer(init)
  onConnected?.(connection)
  if (await isScannedSoon(scanning, init.clock)) return connection
  // HELLO has not been sent yet, so no turn is held up while the server would have to wait.
  await connection.close()
  await scanning
  const second = await connectToServer(init)
  onConnected?.(second.connection)
  return second.connection
}

/** Whether the scan ends, or fails, before the connection has waited too long. */
async function isScannedSoon (scanning: Promise<unknown>, clock: Clock): Promise<boolean> {
  const scanned = scanning.then(() => true, () => true)
  const waiting = new AbortController()
  const late = wait(clock, SCAN_GRACE_MS, waiting.signal).then(() => false, () => true)
  try {
    return await Promise.race([scanned, late])
  } finally {
    waiting.abort()
  }
}
