import type { Clock } from './clock.ts'

/** Long enough that yielding costs nothing, and short enough that others do not notice the wait. */
const SLICE_MS = 12

export interface TimeSliceInit {
  readonly clock: Clock
  /** Cancels the work: once aborted, the next `yieldThread` rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Divides long synchronous work into slices of 12 ms, so that a server that compares a large tree for one client still answers
 * all the others in time. The work checks `isOver` wherever it can pause, and then awaits `yieldThread`.
 */
export class TimeSlice {
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  #endsMs: number

  constructor ({ clock, signal }: TimeSliceInit) {
    this.#clock = clock
    this.#signal = signal
    this.#endsMs = clock.monotonicMs() + SLICE_MS
  }

  /** Whether the slice is over. */
  get isOver (): boolean {
    return this.#clock.monotonicMs() >= this.#endsMs
  }

  /** Yields the thread, then starts the next slice. Rejects with the signal's reason if it is aborted. */
  async yieldThread (): Promise<void> {
    await new Promise<void>(resolve => { this.#clock.schedule(0, resolve) })
    this.#signal?.throwIfAborted()
    this.#endsMs = this.#clock.monotonicMs() + SLICE_MS
  }
}
