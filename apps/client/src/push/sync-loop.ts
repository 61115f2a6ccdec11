import { backOffMs, LIMITS, waitThroughSleep } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'

/** What one run says about the next. */
export type RunOutcome =
  /** `isStale`: files were changed, replaced or moved while they were to be sent, so that the tree is to be looked at again soon. */
  | { readonly kind: 'done', readonly nextInMs: number, readonly isStale: boolean }
  | { readonly kind: 'failed', readonly error: FileSyncError, readonly canRetry: boolean }

export interface SyncLoopInit {
  /** One run, from finding the server to NEXT_SYNC. Rejects only when the signal is aborted. */
  readonly run: () => Promise<RunOutcome>
  /** Resolves when the tree has changed and become quiet; never where it is not watched. */
  readonly nextChange: (signal: AbortSignal) => Promise<void>
  /** Told before each wait. */
  readonly onWait: (delayMs: number, failure: FileSyncError | undefined) => void
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The longest wait after failures before any server has told its interval. */
const FIRST_MAX_DELAY_MS = 60_000
/** The first wait after a failure, or after a run in which files were not what was listed any more. */
const FIRST_DELAY_MS = 1_000
/** A machine that was away for days is synced soon after it is back, also where the interval is a day. */
const MAX_DELAY_MS = 300_000

/**
 * Runs again and again: when the server said, or sooner when the tree changed. After a failure, and after a run that met files
 * which were not what was listed any more, it waits for a second, then longer each time, but never longer than the interval.
 * Resolves with the error that no further run can mend; rejects when the signal is aborted.
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
      await waitForChange(init, delayMs)
    } else {
      if (!outcome.canRetry) return outcome.error
      const { retryInMs } = outcome.error
      // A server that says when to come again has not failed: it was there.
      failures = retryInMs === undefined ? failures + 1 : 0
      const delayMs = retryInMs === undefined
        ? backOffMs(failures, { firstMs: FIRST_DELAY_MS, maxMs: Math.min(intervalMs, MAX_DELAY_MS) }, init.random())
        : keepWithinLimits(retryInMs)
      init.onWait(delayMs, outcome.error)
      await waitThroughSleep(init.clock, delayMs, init.signal)
    }
  }
}

/** A wait that a server asked for, so that it can neither make a client spin nor put it off for ever. */
export function keepWithinLimits (delayMs: number): number {
  return Math.min(Math.max(delayMs, LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
}

async function waitForChange (init: SyncLoopInit, delayMs: number): Promise<void> {
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
