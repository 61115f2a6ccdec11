/** What clocks of a running server differ by without having been set. */
const TOLERANCE_MS = 120_000
/** How long a clock that jumped has to run before any of the jump counts. */
const WAIT_MS = 6 * 3_600_000
/** How much faster than it passes the time of a jump counts after that: a server that runs for a quarter of an hour a day keeps up. */
const CATCH_UP = 96

/** A jump of the clock, or the time for which no server ran: from a boot alone nobody can tell which. */
interface ClockGap {
  readonly ms: number
  /** The running time at which it was noticed. */
  readonly fromRunMs: number
}

/**
 * How old an archive is, for keeping versions as long as they are to be kept. It grows with the time that servers run, and by what the
 * clock jumped only after the clock has run on for some hours, so that a wrong clock drops nothing before it can be noticed.
 */
export interface ArchiveAge {
  /** As milliseconds since the Unix epoch, if the clock has always been right. */
  readonly ageMs: number
  /** The clock when it was last looked at. */
  readonly wallMs: number
  /** For how long servers ran. */
  readonly runMs: number
  readonly gaps: readonly ClockGap[]
}

export function newAge (nowMs: number): ArchiveAge {
  return { ageMs: nowMs, wallMs: nowMs, runMs: 0, gaps: [] }
}

/** @param ranMs for how long this process has run since it last looked; 0 if it has not */
export function advanceAge (age: ArchiveAge, { nowMs, ranMs }: { readonly nowMs: number, readonly ranMs: number }): ArchiveAge {
  const runMs = age.runMs + ranMs
  const apartMs = nowMs - age.wallMs - ranMs
  const isSteady = Math.abs(apartMs) <= TOLERANCE_MS
  const { paidMs, gaps } = payGaps(age.gaps, { runMs, ranMs })
  return {
    ageMs: age.ageMs + ranMs + paidMs + (isSteady ? Math.max(0, apartMs) : 0),
    wallMs: nowMs,
    runMs,
    gaps: isSteady ? gaps : apartMs > 0 ? [...gaps, { ms: apartMs, fromRunMs: runMs }] : takeBack(gaps, -apartMs),
  }
}

function payGaps (gaps: readonly ClockGap[], { runMs, ranMs }: { readonly runMs: number, readonly ranMs: number }): { readonly paidMs: number, readonly gaps: ClockGap[] } {
  let [paidMs, usedMs] = [0, 0]
  const left = gaps.flatMap(gap => {
    const countsMs = Math.min(ranMs, runMs - gap.fromRunMs - WAIT_MS)
    const payMs = Math.max(0, Math.min(gap.ms, (countsMs - usedMs) * CATCH_UP))
    usedMs += payMs / CATCH_UP
    paidMs += payMs
    return payMs === gap.ms ? [] : [{ ...gap, ms: gap.ms - payMs }]
  })
  return { paidMs, gaps: left }
}

/** A clock that goes back undoes what it jumped forward last. */
function takeBack (gaps: readonly ClockGap[], backMs: number): ClockGap[] {
  const left = [...gaps]
  for (let gap = left.pop(), due = backMs; gap !== undefined; gap = left.pop()) {
    if (gap.ms > due) return [...left, { ...gap, ms: gap.ms - due }]
    due -= gap.ms
  }
  return left
}
