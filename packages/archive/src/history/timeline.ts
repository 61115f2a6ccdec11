import { BEFORE_ALL, comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'

/** Syncs that follow one another while the clock only goes forward. */
interface Segment {
  readonly points: Position[]
  lastMs: number
}

/**
 * Finds the place in the history that a time names, also if the clock was set back in between: a time may then belong to
 * more than one stretch of the history, or to none.
 */
export class Timeline {
  readonly #segments: Segment[] = []
  readonly #exact: readonly Position[]

  /**
   * @param known all places that are known, in any order
   * @param exact those that were shown to people as times: a time that is one of them to the millisecond means this one
   */
  constructor (known: Iterable<Position>, exact: readonly Position[]) {
    this.#exact = exact
    const spans = new Map<number, { firstMs: number, lastMs: number }>()
    for (const { count, ms } of known) {
      const span = spans.get(count)
      if (span === undefined) spans.set(count, { firstMs: ms, lastMs: ms })
      else Object.assign(span, { firstMs: Math.min(span.firstMs, ms), lastMs: Math.max(span.lastMs, ms) })
    }
    for (const [count, { firstMs, lastMs }] of [...spans].sort(([a], [b]) => a - b)) {
      const open = this.#segments.at(-1)
      if (open === undefined || firstMs < open.lastMs) this.#segments.push({ points: [{ count, ms: firstMs }], lastMs })
      else {
        open.points.push({ count, ms: firstMs })
        open.lastMs = lastMs
      }
    }
    const last = this.#segments.at(-1)
    if (last !== undefined) last.lastMs = Infinity
  }

  /** The place that a time names. */
  at (timeMs: number): Position {
    const shown = this.#exact.filter(({ ms }) => ms === timeMs).sort(comparePositions).at(-1)
    if (shown !== undefined) return shown
    const begun = this.#segments.filter(segment => firstMs(segment) <= timeMs)
    const within = begun.findLast(({ lastMs }) => timeMs <= lastMs) ?? begun.at(-1)
    if (within !== undefined) {
      const count = within.points.findLast(({ ms }) => ms <= timeMs)?.count ?? 0
      return { count, ms: timeMs }
    }
    // Before each stretch began by its own clock: what stood before the earliest of them came by a clock that was ahead.
    const next = this.#segments.reduce<Segment | undefined>((least, segment) => least === undefined || firstMs(segment) < firstMs(least) ? segment : least, undefined)
    const before = next === undefined ? undefined : this.#segments[this.#segments.indexOf(next) - 1]
    return before === undefined ? BEFORE_ALL : { count: before.points.at(-1)?.count ?? 0, ms: Infinity }
  }
}

function firstMs ({ points }: Segment): number {
  return points[0]?.ms ?? Infinity
}
