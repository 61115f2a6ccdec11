/** How far the wall clock and the monotonic clock of a running server may drift apart without the wall clock having been set. */
const TOLERANCE_MS = 120_000
/** How long servers must run after a jump of the clock before any of the jump counts. */
const WAIT_MS = 6 * 3_600_000
/** How many times faster than real time a jump counts after that: a server that runs for a quarter of an hour a day keeps up. */
const CATCH_UP = 96

/** A jump of the clock, or time during which no server ran: the two cannot be told apart. */
interface ClockGap {
  readonly ms: number
  /** The running time (`ArchiveAge.runMs`) at which it was noticed. */
  readonly fromRunMs: number
}

/**
 * How old an archive is, which decides when versions expire. It grows while servers run. A forward jump of the clock counts only after
 * servers ran for some more hours, so that a wrong clock can be noticed before versions expire because of it.
 */
export interface ArchiveAge {
  /** Equals the milliseconds since the Unix epoch if the clock has always been right. */
  readonly ageMs: number
  /** The wall clock when it was last read. */
  readonly wallMs: number
  /** Total time that servers ran. */
  readonly runMs: number
  readonly gaps: readonly ClockGap[]
}

export function newAge (nowMs: number): ArchiveAge {
  return { ageMs: nowMs, wallMs: nowMs, runMs: 0, gaps: [] }
}

/**
 * The age at a later time.
 *
 * @param ranMs how long this process has run since `age` was computed; 0 after a start
 */
export function advanceAge (age: ArchiveAge, { nowMs, ranMs }: { readonly nowMs: number, readonly ranMs: number }): ArchiveAge {
  const runMs = age.runMs + ranMs
  const apartMs = nowMs - age.wallMs - ranMs
  const isSteady = Math.abs(apartMs) <= TOLERANCE_MS
  const { countedMs, gaps } = countGaps(age.gaps, { runMs, ranMs })
  return {
    ageMs: age.ageMs + ranMs + countedMs + (isSteady ? Math.max(0, apartMs) : 0),
    wallMs: nowMs,
    runMs,
    gaps: isSteady ? gaps : apartMs > 0 ? [...gaps, { ms: apartMs, fromRunMs: runMs }] : undoJumps(gaps, -apartMs),
  }
}

/** Counts parts of the jumps that servers have run long enough after. */
function countGaps (
  gaps: readonly ClockGap[], { runMs, ranMs }: { readonly runMs: number, readonly ranMs: number },
): { readonly countedMs: number, readonly gaps: ClockGap[] } {
  let [countedMs, usedMs] = [0, 0]
  const left = gaps.flatMap(gap => {
    const eligibleMs = Math.min(ranMs, runMs - gap.fromRunMs - WAIT_MS)
    const partMs = Math.max(0, Math.min(gap.ms, (eligibleMs - usedMs) * CATCH_UP))
    usedMs += partMs / CATCH_UP
    countedMs += partMs
    return partMs === gap.ms ? [] : [{ ...gap, ms: gap.ms - partMs }]
  })
  return { countedMs, gaps: left }
}

/** A clock that is set back cancels its latest forward jumps. */
function undoJumps (gaps: readonly ClockGap[], backMs: number): ClockGap[] {
  const left = [...gaps]
  for (let gap = left.pop(), due = backMs; gap !== undefined; gap = left.pop()) {
    if (gap.ms > due) return [...left, { ...gap, ms: gap.ms - due }]
    due -= gap.ms
  }
  return left
}
