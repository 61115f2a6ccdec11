/** A path that rests waits this long for the ones that do not, so that a burst of changes is one sync. */
const COMPANY_MS = 1_500

/**
 * Decides when changes have become quiet. A path is quiet when nothing was heard of it for `settleMs`; a file that never
 * rests (a log) neither holds back the others nor causes syncs of its own.
 */
export class QuietPaths {
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

  /** A path was changed at this time. Times never go back. */
  note (path: string, monotonicMs: number): void {
    this.#lastMs.delete(path)
    this.#lastMs.set(path, monotonicMs)
    this.#latestMs = monotonicMs
  }

  /** When the next batch is due, as a monotonic time; undefined while nothing is waiting. */
  dueMs (): number | undefined {
    const first = this.#firstMs()
    if (first === undefined) return undefined
    return Math.min(this.#latestMs + this.#settleMs, first + this.#settleMs + COMPANY_MS)
  }

  /** Takes the paths that are quiet and returns how many they were. */
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
