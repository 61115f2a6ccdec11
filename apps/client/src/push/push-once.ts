import { asFileSyncError, ERRORS, wrapConnection, wait } from '@filesync/protocol'
import type { Clock, Connection, FileSyncError, NextSync, Tree } from '@filesync/protocol'
import type { Compression, FileSource } from '@filesync/transfer'
import type { Folder } from '../folder.ts'
import { connectWhileScanning } from '../connect/connect-while-scanning.ts'
import type { ConnectToServerInit } from '../connect/connect-to-server.ts'
import { failedResult, NOTHING_STORED, pushResult } from './push-result.ts'
import type { PushResult, RunCost, RunStored } from './push-result.ts'
import { pushSession } from './push-session.ts'
import type { PushableTree, Pushed, PushDependencies } from './push-session.ts'
import { keepWithinLimits } from './sync-loop.ts'

/** Callbacks for the progress of a run. */
export type RunWatcher = Pick<PushDependencies, 'onBusy' | 'onReady' | 'onProgress'>

export interface PushOnceInit extends RunWatcher, ConnectToServerInit {
  readonly scan: (signal: AbortSignal) => Promise<PushableTree>
  readonly folders: readonly Folder[]
  readonly source: FileSource
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly software: string
  readonly mark?: Uint8Array | undefined
}

/** How a run ended: with NEXT_SYNC, or with an error. */
export type PushRun =
  | Pick<Pushed, 'stale'> & { readonly result: PushResult, readonly error: undefined, readonly nextInMs: number, readonly tree: Tree }
  | { readonly result: PushResult, readonly error: FileSyncError }

/**
 * One run, from connecting to NEXT_SYNC. It may take several sessions: the server ends a long session with SESSION_YIELDED if
 * other clients wait, and the run then continues in the next one. Never rejects: an error is part of the outcome.
 */
export async function pushOnce (init: PushOnceInit): Promise<PushRun> {
  const totals = new RunTotals(init.clock)
  for (;;) {
    const run = await pushInOneSession(init, totals)
    if (run.error?.code !== 'SESSION_YIELDED') return run
    try {
      // At least a second between two connections, so that a server cannot make a client spin.
      const delayMs = keepWithinLimits(run.error.retryInMs ?? 0)
      await wait(init.clock, Math.max(0, totals.connectedMs + delayMs - init.clock.monotonicMs()), init.signal)
    } catch (caught) {
      const error = asFileSyncError(caught)
      return { result: failedResult(error, totals.cost(), totals.stored), error }
    }
  }
}

async function pushInOneSession (init: PushOnceInit, totals: RunTotals): Promise<PushRun> {
  const over = new AbortController()
  let connection: Connection | undefined
  try {
    const scanning = init.scan(AbortSignal.any([init.signal, over.signal]))
    scanning.catch(() => { /* awaited in the session, or aborted below */ })
    connection = totals.countingStored(await connectWhileScanning(init, scanning, connected => { totals.add(connected) }))
    const pushed = await pushSession(connection, { ...init, scan: async () => await scanning })
    await connection.close()
    const nextInMs = keepWithinLimits(pushed.next.inMs)
    const result = pushResult({ ...pushed, next: totals.addTo(pushed.next) }, totals.cost(), isoIn(nextInMs, init.clock))
    return { result, error: undefined, nextInMs, tree: pushed.tree, stale: pushed.stale }
  } catch (caught) {
    const error = asFileSyncError(caught)
    over.abort(error)
    await connection?.close(error)
    await totals.endSession(connection)
    const failed = failedResult(error, totals.cost(), totals.stored)
    const { retryInMs } = error
    return { result: retryInMs === undefined ? failed : { ...failed, nextSyncAt: isoIn(keepWithinLimits(retryInMs), init.clock) }, error }
  }
}

function isoIn (delayMs: number, clock: Clock): string {
  return new Date(clock.nowMs() + delayMs).toISOString()
}

/** Adds up the bytes on all connections of one run, and what its sessions stored before they ended early. */
class RunTotals {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #connections: Connection[] = []
  #stored = NOTHING_STORED
  /** What the current session has stored so far. */
  #current = NOTHING_STORED
  /** When the last connection was made; monotonic. */
  connectedMs = 0

  constructor (clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  /** Counts the bytes of a connection. */
  add (connection: Connection): void {
    this.#connections.push(connection)
    this.connectedMs = this.#clock.monotonicMs()
  }

  /** The connection as the session sees it; what the server reports as stored is recorded here. */
  countingStored (connection: Connection): Connection {
    return wrapConnection(connection, {
      next: async () => {
        const incoming = await connection.next()
        if (incoming.kind === 'message' && incoming.message.type === 'STORED') {
          this.#current = { deleted: 0, renamed: 0, ...incoming.message }
        }
        return incoming
      },
    })
  }

  /** Adds what a session stored that ended early. */
  async endSession (connection: Connection | undefined): Promise<void> {
    // The last STORED arrives before CLOSE and may not have been read yet.
    while (connection?.signal.aborted === true) {
      try {
        await connection.next()
      } catch {
        break
      }
    }
    this.#stored = sumStored(this.#stored, this.#current)
    this.#current = NOTHING_STORED
  }

  /** NEXT_SYNC of the last session, with what the earlier sessions stored added. */
  addTo (next: NextSync): NextSync {
    return { ...next, stored: { ...next.stored, ...sumStored(this.#stored, next.stored) } }
  }

  /** What the sessions stored that ended early. */
  get stored (): RunStored {
    return this.#stored
  }

  cost (): RunCost {
    return {
      bytesSent: this.#connections.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      bytesReceived: this.#connections.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0),
      durationMs: Math.round(this.#clock.monotonicMs() - this.#startedMs),
    }
  }
}

function sumStored (left: RunStored, right: RunStored): RunStored {
  return { files: left.files + right.files, deleted: left.deleted + right.deleted, renamed: left.renamed + right.renamed }
}

/** Whether another run may succeed after this error without anyone doing something. */
export function canRetry (error: FileSyncError): boolean {
  return ERRORS[error.code].retryable
}
