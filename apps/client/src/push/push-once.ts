import { asFileSyncError, ERRORS, layerOver, wait } from '@filesync/protocol'
import type { Clock, Connection, FileSyncError, NextSync, Tree } from '@filesync/protocol'
import type { Compression, FileSource } from '@filesync/transfer'
import { connectWhileScanning } from '../connect/connect-while-scanning.ts'
import type { ConnectToServerInit } from '../connect/connect-to-server.ts'
import { failedResult, NOTHING_STORED, pushResult } from './push-result.ts'
import type { PushResult, RunCost, RunStored } from './push-result.ts'
import { pushSession } from './push-session.ts'
import type { PushableTree, Pushed, PushDependencies } from './push-session.ts'
import { keepWithinLimits } from './sync-loop.ts'

/** What is told while a run is under way. */
export type RunWatcher = Pick<PushDependencies, 'onBusy' | 'onReady' | 'onProgress'>

export interface PushOnceInit extends RunWatcher, ConnectToServerInit {
  readonly scan: (signal: AbortSignal) => Promise<PushableTree>
  readonly root: string
  readonly source: FileSource
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly software: string
}

/** How a run ended: with what the server said, or with the error that ended it. */
export type PushRun =
  | Pick<Pushed, 'stale'> & { readonly result: PushResult, readonly error: undefined, readonly nextInMs: number, readonly tree: Tree }
  | { readonly result: PushResult, readonly error: FileSyncError }

/**
 * One run from finding the server to NEXT_SYNC, over as many sessions as that takes: a server ends one that runs for long
 * when others wait. Whatever ends the run stands in what it resolves with.
 */
export async function pushOnce (init: PushOnceInit): Promise<PushRun> {
  const account = new RunTotals(init.clock)
  for (;;) {
    const run = await pushInOneSession(init, account)
    if (run.error?.code !== 'SESSION_YIELDED') return run
    try {
      // Nor can a server make a client spin like this.
      const leastMs = keepWithinLimits(run.error.retryInMs ?? 0)
      await wait(init.clock, Math.max(0, account.connectedMs + leastMs - init.clock.monotonicMs()), init.signal)
    } catch (caught) {
      const error = asFileSyncError(caught)
      return { result: failedResult(error, account.cost(), account.stored), error }
    }
  }
}

async function pushInOneSession (init: PushOnceInit, account: RunTotals): Promise<PushRun> {
  const over = new AbortController()
  let connection: Connection | undefined
  try {
    const scanning = init.scan(AbortSignal.any([init.signal, over.signal]))
    scanning.catch(() => { /* awaited below, or given up with the run */ })
    connection = await connectWhileScanning(init, scanning, found => account.follow(found))
    const pushed = await pushSession(connection, { ...init, scan: async () => await scanning })
    await connection.close()
    const nextInMs = keepWithinLimits(pushed.next.inMs)
    const result = pushResult({ ...pushed, next: account.sum(pushed.next) }, account.cost(), isoIn(nextInMs, init.clock))
    return { result, error: undefined, nextInMs, tree: pushed.tree, stale: pushed.stale }
  } catch (caught) {
    const error = asFileSyncError(caught)
    over.abort(error)
    await connection?.close(error)
    await account.settle(connection)
    const failed = failedResult(error, account.cost(), account.stored)
    const { retryInMs } = error
    return { result: retryInMs === undefined ? failed : { ...failed, nextSyncAt: isoIn(keepWithinLimits(retryInMs), init.clock) }, error }
  }
}

function isoIn (delayMs: number, clock: Clock): string {
  return new Date(clock.nowMs() + delayMs).toISOString()
}

/** Adds up what the connections of one run carried, and what the sessions did that ended early. */
class RunTotals {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #connections: Connection[] = []
  #stored = NOTHING_STORED
  /** Of the session that runs. */
  #last = NOTHING_STORED
  /** When the last connection was made. */
  connectedMs = 0

  constructor (clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  /** The connection, with what the server says of stored files noted. */
  follow (connection: Connection): Connection {
    this.#connections.push(connection)
    this.connectedMs = this.#clock.monotonicMs()
    return layerOver(connection, {
      next: async () => {
        const incoming = await connection.next()
        if (incoming.kind === 'message' && incoming.message.type === 'STORED') this.#last = { deleted: 0, renamed: 0, ...incoming.message }
        return incoming
      },
    })
  }

  /** A session ended early. */
  async settle (connection: Connection | undefined): Promise<void> {
    // What the server stored last, it told in front of its CLOSE.
    while (connection?.signal.aborted === true) {
      try {
        await connection.next()
      } catch {
        break
      }
    }
    this.#stored = added(this.#stored, this.#last)
    this.#last = NOTHING_STORED
  }

  /** The last message of the last session, as the end of all of them. */
  sum (next: NextSync): NextSync {
    return { ...next, stored: { ...next.stored, ...added(this.#stored, next.stored) } }
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

function added (left: RunStored, right: RunStored): RunStored {
  return { files: left.files + right.files, deleted: left.deleted + right.deleted, renamed: left.renamed + right.renamed }
}

/** Whether another run can succeed where this one failed, without a person. */
export function canRetry (error: FileSyncError): boolean {
  return ERRORS[error.code].retryable
}
