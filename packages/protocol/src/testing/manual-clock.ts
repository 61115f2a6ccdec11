import type { Clock } from '../clock.ts'

/** A clock that a test advances explicitly. */
export class ManualClock implements Clock {
  #monotonicMs = 0
  #wallOffsetMs: number
  readonly #timers = new Set<{ readonly dueMs: number, readonly callback: () => void }>()

  /** @param startMs initial value of `nowMs` */
  constructor (startMs = 1_700_000_000_000) {
    this.#wallOffsetMs = startMs
  }

  nowMs (): number {
    return this.#wallOffsetMs + this.#monotonicMs
  }

  monotonicMs (): number {
    return this.#monotonicMs
  }

  schedule (delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + delayMs, callback }
    this.#timers.add(timer)
    return () => { this.#timers.delete(timer) }
  }

  /** Number of pending callbacks. */
  get scheduled (): number {
    return this.#timers.size
  }

  /** Moves the wall clock forward or back without affecting durations. */
  jump (byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Advances time and calls the callbacks that become due, in order. */
  advance (byMs: number): void {
    const endMs = this.#monotonicMs + byMs
    for (;;) {
      let next: { readonly dueMs: number, readonly callback: () => void } | undefined
      for (const timer of this.#timers) {
        if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer
      }
      if (next === undefined) break
      this.#timers.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
      next.callback()
    }
    this.#monotonicMs = endMs
  }
}
