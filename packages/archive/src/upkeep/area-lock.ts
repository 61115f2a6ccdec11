import { FileSyncError } from '@filesync/protocol'

/**
 * Decides who may change an area: one sync at a time, and between syncs single steps of upkeep. A sync that begins waits for the step in
 * progress, never for the next one.
 */
export class AreaLock {
  readonly #area: string
  #sync: Promise<void> | undefined
  #syncs = 0
  #ended: FileSyncError | undefined
  #step: { readonly over: Promise<void>, readonly isLong: boolean } | undefined

  constructor (area: string) {
    this.#area = area
  }

  /** How many syncs have begun. What was read without the lock is valid while this number stays the same. */
  get syncs (): number {
    return this.#syncs
  }

  /** Whether a sync is in progress. */
  get isSyncing (): boolean {
    return this.#sync !== undefined
  }

  /** Nothing may change the area any more: all that begins or waits is refused with this error. */
  end (error: FileSyncError): void {
    this.#ended = error
  }

  /** Resolves when the sync may begin, with a function that releases the lock. Throws SERVER_BUSY. */
  async beginSync (): Promise<() => void> {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#sync !== undefined) throw busy(this.#area, 'already being synced')
    if (this.#step?.isLong === true) throw busy(this.#area, 'being renamed, or read to rebuild its index')
    this.#syncs++
    let release: (() => void) | undefined
    const held = new Promise<void>(resolve => { release = resolve })
    this.#sync = held
    await this.#step?.over
    return () => {
      if (this.#sync === held) this.#sync = undefined
      release?.()
    }
  }

  /** Runs a step as {@link step} does, but only if it need not wait. Resolves to whether it ran. */
  async stepIfFree (work: () => Promise<void>): Promise<boolean> {
    if (this.#sync !== undefined || this.#step !== undefined || this.#ended !== undefined) return false
    await this.step(work)
    return true
  }

  /** Runs a step of upkeep as soon as no sync and no other step runs. During a `long` step syncs are refused instead of waiting. */
  async step<T> (work: () => Promise<T>, length: 'short' | 'long' = 'short'): Promise<T> {
    for (let other = this.#sync ?? this.#step?.over; other !== undefined; other = this.#sync ?? this.#step?.over) await other
    if (this.#ended !== undefined) throw this.#ended
    const running = work()
    const clear = (): void => { this.#step = undefined }
    this.#step = { over: running.then(clear, clear), isLong: length === 'long' }
    return await running
  }
}

function busy (area: string, why: string): FileSyncError {
  return new FileSyncError('SERVER_BUSY', `${JSON.stringify(area)} is ${why}. Try again in a moment.`)
}
