/**
 * When a client that keeps running pushes again, and the longest that it waits:
 *
 * - After a complete run: as long as the server asked in NEXT_SYNC, 1 s to 1 day (`LIMITS.nextSyncMinMs`, `nextSyncMaxMs`), or
 *   until a change in the tree. Sooner, with back-off from 1 s, if files had changed before they could be sent.
 * - If the server ended a session early and said when to come again, because it serves others in between, is stopping, or is
 *   outside its hours: that long, within the same limits.
 * - After any other failure that may pass, SERVER_BUSY included: about 1 s, then twice as long each time, at most 1 min until a
 *   server has named an interval, then at most that interval or 5 min, whichever is shorter.
 *
 * The wait within a session, for the client's turn at BUSY, is in `push-session.ts` and has no limit.
 */
import { backOffMs, LIMITS, waitThroughSleep } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'

/** The outcome of one run, as far as it decides when the next one begins. */
export type RunOutcome =
  /** `isStale`: files were changed, replaced or moved before they could be sent, so the tree should be scanned again soon. */
  | { readonly kind: 'done', readonly nextInMs: number, readonly isStale: boolean }
  | { readonly kind: 'failed', readonly error: FileSyncError, readonly canRetry: boolean }

export interface SyncLoopInit {
  /** One run, from finding the server to NEXT_SYNC. Rejects only when the signal is aborted. */
  readonly run: () => Promise<RunOutcome>
  /** Resolves when the tree has changed and settled; never if it is not watched. */
  readonly nextChange: (signal: AbortSignal) => Promise<void>
  /** Called before each wait. */
  readonly onWait: (delayMs: number, failure: FileSyncError | undefined) => void
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The longest wait after a failure before any server has named an interval. */
const FIRST_MAX_DELAY_MS = 60_000
/** The first wait after a failure, or after a run that found stale files. */
const FIRST_DELAY_MS = 1_000
/** The longest wait after a failure: a machine that was offline for days is synced soon after it is back, even if the interval is a day. */
const MAX_DELAY_MS = 300_000

/**
 * Runs again and again: when the server asked for it, or earlier if the tree changes. After a failure, and after a run that found
 * stale files, it backs off exponentially, but never beyond the interval. Resolves with the first error that another run cannot
 * fix; rejects when the signal is aborted.
 */
export async function keepSyncing (init: SyncLoopInit): Promise<FileSyncError> {
  let failures = 0
  let staleRuns = 0
  let intervalMs = FIRST_MAX_DELAY_MS
  for (;;) {
    const outcome = await init.run()
    if (outcome.kind === 'done') {
      failures = 0
      intervalMs = keepWithinLimits(outcome.nextInMs)
      staleRuns = outcome.isStale ? staleRuns + 1 : 0
      const soonMs = backOffMs(staleRuns, { firstMs: FIRST_DELAY_MS, maxMs: intervalMs }, init.random())
      const delayMs = staleRuns === 0 ? intervalMs : Math.max(LIMITS.nextSyncMinMs, soonMs)
      init.onWait(delayMs, undefined)
      await waitForDelayOrChange(init, delayMs)
    } else {
      if (!outcome.canRetry) return outcome.error
      const { retryInMs } = outcome.error
      // A server that says when to come again was reached, so this does not count as a failure.
      failures = retryInMs === undefined ? failures + 1 : 0
      const delayMs = retryInMs === undefined
        ? backOffMs(failures, { firstMs: FIRST_DELAY_MS, maxMs: Math.min(intervalMs, MAX_DELAY_MS) }, init.random())
        : keepWithinLimits(retryInMs)
      init.onWait(delayMs, outcome.error)
      await waitThroughSleep(init.clock, delayMs, init.signal)
    }
  }
}

/** Limits a wait that a server asked for, so that it can neither make a client spin nor keep it waiting forever. */
export function keepWithinLimits (delayMs: number): number {
  return Math.min(Math.max(delayMs, LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
}

async function waitForDelayOrChange (init: SyncLoopInit, delayMs: number): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([init.signal, over.signal])
  try {
    await Promise.race([
      waitThroughSleep(init.clock, delayMs, signal),
      init.nextChange(signal),
    ])
  } finally {
    over.abort()
  }
}
