/** A quiet path waits this long for those that still change, so that a burst of changes is one sync. */
const MAX_EXTRA_WAIT_MS = 1_500

/**
 * Debounces changes by path. A path is quiet if no change was reported for `settleMs`; a file that changes all the time (a
 * log) neither delays the others nor causes syncs.
 */
export class ChangeDebouncer {
  readonly #settleMs: number
  /** By the time of the last change, oldest first. */
  readonly #lastMs = new Map<string, number>()
  #latestMs = -Infinity

  constructor (settleMs: number) {
    this.#settleMs = settleMs
  }

  get size (): number {
    return this.#lastMs.size
  }

  has (path: string): boolean {
    return this.#lastMs.has(path)
  }

  /** Adds a change of a path at this time, which must not be earlier than the previous one. */
  add (path: string, monotonicMs: number): void {
    this.#lastMs.delete(path)
    this.#lastMs.set(path, monotonicMs)
    this.#latestMs = monotonicMs
  }

  /** The monotonic time at which the next batch is due; undefined if no path is pending. */
  dueMs (): number | undefined {
    const first = this.#firstMs()
    if (first === undefined) return undefined
    return Math.min(this.#latestMs + this.#settleMs, first + this.#settleMs + MAX_EXTRA_WAIT_MS)
  }

  /** Removes the quiet paths and returns their number. */
  take (monotonicMs: number): number {
    let taken = 0
    for (const [path, lastMs] of this.#lastMs) {
      if (lastMs + this.#settleMs > monotonicMs) break
      this.#lastMs.delete(path)
      taken++
    }
    return taken
  }

  clear (): void {
    this.#lastMs.clear()
  }

  #firstMs (): number | undefined {
    for (const lastMs of this.#lastMs.values()) return lastMs
    return undefined
  }
}
