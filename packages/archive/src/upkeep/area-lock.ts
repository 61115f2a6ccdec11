import { FileSyncError } from '@filesync/protocol'

/**
 * Who may change an area: one sync at a time, and between syncs single steps of upkeep. A sync that wants to begin waits
 * for the step that is under way, never for the next one.
 */
export class AreaLock {
  readonly #area: string
  #sync: Promise<void> | undefined
  #syncs = 0
  #step: { readonly over: Promise<void>, readonly isLong: boolean } | undefined

  constructor (area: string) {
    this.#area = area
  }

  /** How many syncs have begun: what was seen without a turn is good while this stays the same. */
  get syncs (): number {
    return this.#syncs
  }

  /** Whether a sync is under way. */
  get isSyncing (): boolean {
    return this.#sync !== undefined
  }

  /** Resolves, when the sync may begin, with the function that ends its turn. Throws SERVER_BUSY. */
  async beginSync (): Promise<() => void> {
    if (this.#sync !== undefined) throw busy(this.#area, 'synced')
    if (this.#step?.isLong === true) throw busy(this.#area, 'read anew')
    this.#syncs++
    let wake: (() => void) | undefined
    const turn = new Promise<void>(resolve => { wake = resolve })
    this.#sync = turn
    await this.#step?.over
    return () => {
      if (this.#sync === turn) this.#sync = undefined
      wake?.()
    }
  }

  /** As {@link step}, but only where nothing has to be waited for; tells whether it did the work. */
  async stepIfFree (work: () => Promise<void>): Promise<boolean> {
    if (this.#sync !== undefined || this.#step !== undefined) return false
    await this.step(work)
    return true
  }

  /** Does a step of upkeep, when it may. A `long` one turns syncs away instead of having them wait. */
  async step<T> (work: () => Promise<T>, length: 'short' | 'long' = 'short'): Promise<T> {
    for (let other = this.#sync ?? this.#step?.over; other !== undefined; other = this.#sync ?? this.#step?.over) await other
    const running = work()
    const clear = (): void => { this.#step = undefined }
    this.#step = { over: running.then(clear, clear), isLong: length === 'long' }
    return await running
  }
}

function busy (area: string, how: string): FileSyncError {
  return new FileSyncError('SERVER_BUSY', `${JSON.stringify(area)} is being ${how} already. Try again in a moment.`)
}
