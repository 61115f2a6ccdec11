/** The window of time over which a rate is measured. */
const WINDOW_MS = 10_000
/** Time between samples: enough for a window that is exact to 2.5 %. */
const STEP_MS = 250
/** A rate over less time would be that of a burst. */
const MIN_WINDOW_MS = 1_000

interface Sample {
  readonly atMs: number
  readonly total: number
}

/** The rate per second of a growing total over the last ten seconds, or since the start if that is later. */
export class MovingRate {
  readonly #samples: Sample[]

  /**
   * @param nowMs monotonic; the rate is measured from here
   * @param total the total so far
   */
  constructor (nowMs: number, total = 0) {
    this.#samples = [{ atMs: nowMs, total }]
  }

  /** Records the current total. */
  record (nowMs: number, total: number): void {
    const before = this.#samples.at(-2)
    if (before !== undefined && nowMs - before.atMs < STEP_MS) this.#samples.pop()
    this.#samples.push({ atMs: nowMs, total })
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift()
  }

  /** The rate at `nowMs`; without a new record the total counts as unchanged. */
  perSecond (nowMs: number): number {
    const startMs = nowMs - WINDOW_MS
    const latest = this.#samples.at(-1)
    const first = this.#samples.findLast(({ atMs }) => atMs <= startMs) ?? this.#samples[0]
    if (latest === undefined || first === undefined) return 0
    return (latest.total - first.total) * 1000 / Math.max(MIN_WINDOW_MS, nowMs - Math.max(first.atMs, startMs))
  }
}
