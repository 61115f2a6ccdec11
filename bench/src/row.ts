import { median, medianRatio } from './statistics.ts'
import type { Run } from './side.ts'

/** A figure that a bar limits. Where a row has several runs, times and bytes are medians, memory is the highest. */
export type Measure =
  /** Our time as a share of the peer's, the median of the pairs. */
  | 'ratio'
  | 'durationMs'
  | 'wireBytes'
  /** Bytes on the wire as a share of what a program that knows nothing but names would send. */
  | 'wireShare'
  /** Resident memory of the client or of the server, whichever took more. */
  | 'peakBytes'
  /** Our time as a multiple of what a tenth of the work took. */
  | 'growth'

/** What has to be reached. */
export interface Bar {
  readonly measure: Measure
  readonly limit: number
  /** Whether the limit itself is too much. */
  readonly isStrict: boolean
}

/** One run, as far as it was measured. */
export type Timed = Pick<Run, 'durationMs'> & Partial<Run>

/** What was measured of one kind of work. */
export interface Row {
  readonly case: string
  readonly work: string
  readonly bars: readonly Bar[]
  readonly ours: readonly Timed[]
  /** One for each of ours, or none where no peer does this work. */
  readonly theirs: readonly Timed[]
  /** The same of the peer with the secrecy that ours has. */
  readonly throughSsh?: readonly Timed[]
  /** What a program that knows nothing but names would have to send. */
  readonly changedBytes?: number
  /** What a tenth of the work took. */
  readonly tenthMs?: number
  /** What the same work takes without any protocol. */
  readonly reference?: { readonly name: string, readonly durationsMs: readonly number[] }
  readonly note?: string
}

/** A bar and what was reached. */
export interface Verdict extends Bar {
  readonly value: number
  readonly holds: boolean
}

export function atMost (measure: Measure, limit: number): Bar {
  return { measure, limit, isStrict: false }
}

export function under (measure: Measure, limit: number): Bar {
  return { measure, limit, isStrict: true }
}

/** What was reached of each bar. Throws where the row has no figure for a bar: a bar that nothing is measured for never holds. */
export function judge (row: Row): Verdict[] {
  return row.bars.map(bar => {
    const value = figureOf(row, bar.measure)
    if (!Number.isFinite(value)) throw new Error(`${row.case}: there is no figure for the bar "${bar.measure}".`)
    return { ...bar, value, holds: bar.isStrict ? value < bar.limit : value <= bar.limit }
  })
}

/** Throws where there is nothing to make it from. */
function figureOf (row: Row, measure: Measure): number {
  switch (measure) {
    case 'ratio': return medianRatio(times(row.ours), times(row.theirs))
    case 'durationMs': return median(times(row.ours))
    case 'wireBytes': return middle(row.ours, 'wireBytes')
    case 'wireShare': return middle(row.ours, 'wireBytes') / (row.changedBytes ?? NaN)
    case 'peakBytes': return Math.max(highest(row.ours, 'clientPeakBytes'), highest(row.ours, 'serverPeakBytes'))
    case 'growth': return median(times(row.ours)) / (row.tenthMs ?? NaN)
  }
}

export function times (runs: readonly Timed[]): number[] {
  return runs.map(({ durationMs }) => durationMs)
}

/** The median of a figure; NaN where a run has none. Traffic of others on the same interface spoils a run, but hardly most. */
export function middle (runs: readonly Timed[], figure: keyof Run): number {
  const values = runs.map(run => run[figure] ?? NaN)
  return values.some(Number.isNaN) ? NaN : median(values)
}

/** The highest of a figure; NaN where a run has none, so that a missing figure cannot look like a small one. */
export function highest (runs: readonly Timed[], figure: keyof Run): number {
  return Math.max(...runs.map(run => run[figure] ?? NaN))
}
