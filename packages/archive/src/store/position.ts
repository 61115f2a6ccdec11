/**
 * A moment in the history of an area. The number of the sync orders moments even if the server's clock was set back: it increases with
 * each sync.
 */
export interface Position {
  /** Number of the last sync that had begun. */
  readonly count: number
  /** The server's clock, milliseconds since the Unix epoch. */
  readonly ms: number
}

export const BEFORE_ALL: Position = { count: 0, ms: -Infinity }

/** The position after everything that a sync did. */
export function afterSync (count: number): Position {
  return { count, ms: Infinity }
}

/** Negative if the left one is earlier. */
export function comparePositions (left: Position, right: Position): number {
  if (left.count !== right.count) return left.count - right.count
  // Infinity - Infinity is NaN.
  return left.ms === right.ms ? 0 : left.ms - right.ms
}

/** A clock that is set back by no more than this is ignored: times continue to increase. */
const SLEW_MS = 2000

/** The position at which the next sync begins. Its time is later than all recorded ones unless the clock was set back. */
export function nextPosition (lastCount: number, { lastMs, nowMs }: { readonly lastMs: number, readonly nowMs: number }): Position {
  return { count: lastCount + 1, ms: nowMs < lastMs - SLEW_MS ? nowMs : Math.max(nowMs, lastMs + 1) }
}
