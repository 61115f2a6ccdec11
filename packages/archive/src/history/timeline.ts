import { BEFORE_ALL, comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'

/** Consecutive syncs during which the clock was not set back. */
interface Segment {
  readonly points: Position[]
  lastMs: number
}

/**
 * Finds the position in the history that a time means. If the clock was set back, a time may belong to more than one segment of the
 * history, or to none.
 */
export class Timeline {
  readonly #segments: Segment[] = []
  readonly #exact: readonly Position[]

  /**
   * @param known all known positions, in any order
   * @param exact positions whose times were shown to people: exactly such a time means this position
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

  /** Whether a time is exactly one that was shown to people. */
  isShown (timeMs: number): boolean {
    return this.#exact.some(({ ms }) => ms === timeMs)
  }

  /** The position that a time means. */
  at (timeMs: number): Position {
    const shown = this.#exact.filter(({ ms }) => ms === timeMs).sort(comparePositions).at(-1)
    if (shown !== undefined) return shown
    const begun = this.#segments.filter(segment => firstMs(segment) <= timeMs)
    const within = begun.findLast(({ lastMs }) => timeMs <= lastMs) ?? begun.at(-1)
    if (within !== undefined) {
      const count = within.points.findLast(({ ms }) => ms <= timeMs)?.count ?? 0
      return { count, ms: timeMs }
    }
    // Before the beginning of every segment by its own clock: what precedes the earliest of them was stored while the clock was ahead.
    const next = this.#segments.reduce<Segment | undefined>((least, segment) => (
      least === undefined || firstMs(segment) < firstMs(least) ? segment : least
    ), undefined)
    const before = next === undefined ? undefined : this.#segments[this.#segments.indexOf(next) - 1]
    return before === undefined ? BEFORE_ALL : { count: before.points.at(-1)?.count ?? 0, ms: Infinity }
  }
}

function firstMs ({ points }: Segment): number {
  return points[0]?.ms ?? Infinity
}
