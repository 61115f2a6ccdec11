import type { Identity } from '@filesync/identity/node'
import type { ServerBook } from '@filesync/identity'
import { asFileSyncError, ERRORS, LIMITS, wait } from '@filesync/protocol'
import type { Clock, Connection, FileSyncError, Tree } from '@filesync/protocol'
import type { Compression, FileSource } from '@filesync/transfer'
import { findServer } from './find-server.ts'
import { failedResult, pushResult } from './push-result.ts'
import type { PushResult, RunCost } from './push-result.ts'
import { pushSession } from './push-session.ts'
import type { PushableTree, PushDependencies } from './push-session.ts'
import type { HostPort } from './settings.ts'

/** What is told while a run is under way. */
export type RunWatcher = Pick<PushDependencies, 'onBusy' | 'onReady' | 'onProgress'>

export interface PushOnceInit extends RunWatcher {
  readonly identity: Identity
  readonly servers: ServerBook
  readonly server: HostPort | undefined
  readonly interfaces: readonly string[] | undefined
  readonly scan: (signal: AbortSignal) => Promise<PushableTree>
  readonly source: FileSource
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly software: string
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** How a run ended: with what the server said, or with the error that ended it. */
export type PushRun =
  | { readonly result: PushResult, readonly error: undefined, readonly nextInMs: number, readonly tree: Tree }
  | { readonly result: PushResult, readonly error: FileSyncError }

/** One run from finding the server to NEXT_SYNC. Whatever ends it stands in what it resolves with. */
export async function pushOnce (init: PushOnceInit): Promise<PushRun> {
  const startedMs = init.clock.monotonicMs()
  const cost = (connection?: Connection): RunCost => ({
    bytesSent: connection?.bytesSent ?? 0,
    bytesReceived: connection?.bytesReceived ?? 0,
    durationMs: Math.round(init.clock.monotonicMs() - startedMs),
  })
  const over = new AbortController()
  let connection: Connection | undefined
  try {
    // Looking for the server and reading the tree have nothing to do with each other until the session starts.
    const scanning = init.scan(AbortSignal.any([init.signal, over.signal]))
    scanning.catch(() => { /* awaited below, or given up with the run */ })
    connection = (await findServer(init)).connection
    if (!await isReadSoon(scanning, init.clock)) {
      // The server is there, and would have to wait. It is told nothing yet, so that nobody's turn goes by.
      await connection.close()
      await scanning
      connection = (await findServer(init)).connection
    }
    const pushed = await pushSession(connection, { ...init, scan: async () => await scanning })
    await connection.close()
    const nextInMs = Math.min(Math.max(pushed.next.inMs, LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
    const nextAtMs = init.clock.nowMs() + nextInMs
    return { result: pushResult(pushed, cost(connection), new Date(nextAtMs).toISOString()), error: undefined, nextInMs, tree: pushed.tree }
  } catch (caught) {
    const error = asFileSyncError(caught)
    over.abort(error)
    await connection?.close(error)
    return { result: failedResult(error, cost(connection)), error }
  }
}

/** What a connection may wait for its HELLO, with room for a slow network: the server gives `helloTimeoutMs`. */
const READ_SOON_MS = LIMITS.helloTimeoutMs / 2

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

/** Whether another run can succeed where this one failed, without a person. */
export function canRetry (error: FileSyncError): boolean {
  return ERRORS[error.code].retryable
}
