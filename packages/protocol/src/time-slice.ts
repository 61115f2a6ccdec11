import type { Clock } from './clock.ts'

/** Long enough that the pauses cost nothing, and short enough that nobody who waits for the thread notices. */
const SLICE_MS = 12

export interface TimeSliceInit {
  readonly clock: Clock
  /** Whoever the work is for: once aborted, the next pause rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Cuts long work on one thread into slices, so that others get the thread in between: a server that compares a large tree
 * for one client still answers all the others in time. The work looks at `isDue` wherever it could stop for a moment.
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

  /** Lets others have the thread, and begins the next slice. Rejects with the signal's reason when it is aborted. */
  async yieldThread (): Promise<void> {
    await new Promise<void>(resolve => { this.#clock.schedule(0, resolve) })
    this.#signal?.throwIfAborted()
    this.#endsMs = this.#clock.monotonicMs() + SLICE_MS
  }
}
