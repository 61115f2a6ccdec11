/** The span that a rate is measured over. */
const WINDOW_MS = 10_000
/** Samples are this far apart: enough for a span that is exact to 2.5 %. */
const STEP_MS = 250
/** A rate over less would be that of a burst. */
const LEAST_MS = 1_000

interface Sample {
  readonly atMs: number
  readonly total: number
}

/** How much of something that only grows there was a second, over the last ten seconds, and from the first note on before that. */
export class MovingRate {
  readonly #samples: Sample[]

  /** @param nowMs monotonic; the rate counts from here @param total what there is already */
  constructor (nowMs: number, total = 0) {
    this.#samples = [{ atMs: nowMs, total }]
  }

  /** There is so much in all by now. */
  note (nowMs: number, total: number): void {
    const before = this.#samples.at(-2)
    if (before !== undefined && nowMs - before.atMs < STEP_MS) this.#samples.pop()
    this.#samples.push({ atMs: nowMs, total })
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift()
  }

  /** As of `nowMs`: what is not noted for a while has not grown. */
  perSecond (nowMs: number): number {
    const startMs = nowMs - WINDOW_MS
    const latest = this.#samples.at(-1)
    const first = this.#samples.findLast(({ atMs }) => atMs <= startMs) ?? this.#samples[0]
    if (latest === undefined || first === undefined) return 0
    return (latest.total - first.total) * 1000 / Math.max(LEAST_MS, nowMs - Math.max(first.atMs, startMs))
  }
}
