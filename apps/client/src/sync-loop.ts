import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'
import { backOffMs } from './back-off.ts'

/** What one run says about the next. */
export type RunOutcome =
  | { readonly kind: 'done', readonly nextInMs: number }
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

/**
 * Runs again and again: when the server said, or sooner when the tree changed; after a failure with growing waits, which
 * never exceed the interval. Resolves with the error that no further run can mend; rejects when the signal is aborted.
 */
export async function keepSyncing (init: SyncLoopInit): Promise<FileSyncError> {
  let failures = 0
  let intervalMs = FIRST_MAX_DELAY_MS
  for (;;) {
    const outcome = await init.run()
    if (outcome.kind === 'done') {
      failures = 0
      intervalMs = Math.min(Math.max(outcome.nextInMs, LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
      init.onWait(intervalMs, undefined)
      await waitForChange(init, intervalMs)
    } else {
      if (!outcome.canRetry) return outcome.error
      failures++
      const delayMs = backOffMs(failures, intervalMs, init.random())
      init.onWait(delayMs, outcome.error)
      await wait(init.clock, delayMs, init.signal)
    }
  }
}

async function waitForChange (init: SyncLoopInit, delayMs: number): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([init.signal, over.signal])
  try {
    await Promise.race([
      wait(init.clock, delayMs, signal),
      init.nextChange(signal),
    ])
  } finally {
    over.abort()
  }
}
