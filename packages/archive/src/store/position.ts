/**
 * A place in the history of an area. The number of the sync orders what clocks cannot: it rises with each sync, whatever the
 * server's clock says.
 */
export interface Position {
  /** The last sync that had begun. */
  readonly count: number
  /** The server's clock, milliseconds since the Unix epoch. */
  readonly ms: number
}

export const BEFORE_ALL: Position = { count: 0, ms: -Infinity }

/** Negative if the left one is earlier. */
export function comparePositions (left: Position, right: Position): number {
  if (left.count !== right.count) return left.count - right.count
  // Two that are infinite are equal.
  return left.ms === right.ms ? 0 : left.ms - right.ms
}

/** What a clock may be set back by without that being noticed: times go on rising then. */
const SLEW_MS = 2000

/** Where the next sync begins. Its time is later than all before it, unless the clock was set back. */
export function nextPosition (lastCount: number, { lastMs, nowMs }: { readonly lastMs: number, readonly nowMs: number }): Position {
  return { count: lastCount + 1, ms: nowMs < lastMs - SLEW_MS ? nowMs : Math.max(nowMs, lastMs + 1) }
}
