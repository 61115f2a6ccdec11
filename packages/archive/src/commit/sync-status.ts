import { FileSyncError } from '@filesync/protocol'

/** Whether a sync may go on. All its parts share one, so that the failure of any part stops the others. */
export class SyncStatus {
  readonly #signal: AbortSignal
  readonly #failure = new AbortController()
  #isOver = false

  /** @param signal aborted when the archive closes */
  constructor (signal: AbortSignal) {
    this.#signal = signal
  }

  get isOver (): boolean {
    return this.#isOver
  }

  /** Aborted by the first failure, which is its reason. */
  get failure (): AbortSignal {
    return this.#failure.signal
  }

  fail (error: unknown): void {
    this.#failure.abort(error)
  }

  end (): void {
    this.#isOver = true
  }

  /** Throws if the sync has failed or is over, or if the archive closes. */
  ensureRunning (): void {
    this.#signal.throwIfAborted()
    if (this.#isOver) throw new FileSyncError('INTERNAL', 'The sync is over.')
    this.#failure.signal.throwIfAborted()
  }
}
