import { median, medianRatio } from './statistics.ts'
import type { Run } from './side.ts'

/** A figure that a bar limits. If a row has several runs, times and bytes are medians, and memory is the highest value. */
export type Measure =
  /** Our time divided by the peer's, as the median of the pairs. */
  | 'ratio'
  | 'durationMs'
  | 'wireBytes'
  /** Bytes on the wire as a share of what a program would send that compares names only. */
  | 'wireShare'
  /** Resident memory of the client or of the server, whichever took more. */
  | 'peakBytes'
  /** Our time as a multiple of what a tenth of the work took. */
  | 'growth'
  /** The same for the processor time of client and server together. */
  | 'cpuGrowth'
  | 'clientCpuMs'
  | 'serverWrittenBytes'
  /** Processor time of the client, or of the server, as a multiple of what it used for the first push of the same files. */
  | 'clientCpuOfPush'
  | 'serverCpuOfPush'
  /** The size of the index after the work, as a multiple of its size before. */
  | 'indexGrowth'

/** A limit for a figure. */
export interface Bar {
  readonly measure: Measure
  readonly limit: number
  /** Whether a value equal to the limit misses the bar. */
  readonly isStrict: boolean
}

/** One run, with the figures that were measured. */
export type Timed = Pick<Run, 'durationMs'> & Partial<Run>

/** The figures of one kind of work. */
export interface Row {
  readonly case: string
  readonly work: string
  readonly bars: readonly Bar[]
  readonly ours: readonly Timed[]
  /** One for each of ours, or none if the peer does not do this work. */
  readonly theirs: readonly Timed[]
  /** Runs of the peer through ssh, which encrypts as ours does. */
  readonly throughSsh?: readonly Timed[]
  /** The bytes that a program would send that compares names only. */
  readonly changedBytes?: number
  /** The time for a tenth of the work. */
  readonly tenthMs?: number
  /** The processor time of client and server together for a tenth of the work. */
  readonly tenthCpuMs?: number
  /** The first push of the same files. */
  readonly firstPush?: readonly Timed[]
  readonly indexBytes?: { readonly before: number, readonly after: number }
  /** Whether the table shows memory without mapped files, and what was written, in lines of their own. */
  readonly isDetailed?: boolean
  /** The time for the same work without any protocol. */
  readonly reference?: { readonly name: string, readonly durationsMs: readonly number[] }
  readonly note?: string
}

/** A bar and the value that was measured. */
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

/** Compares each bar with its value. Throws if the row has no figure for a bar: an unmeasured bar never holds. */
export function judge (row: Row): Verdict[] {
  return row.bars.map(bar => {
    const value = figureOf(row, bar.measure)
    if (!Number.isFinite(value)) throw new Error(`${row.case}: there is no figure for the bar "${bar.measure}".`)
    return { ...bar, value, holds: bar.isStrict ? value < bar.limit : value <= bar.limit }
  })
}

/** Throws if the runs that it needs are missing. */
function figureOf (row: Row, measure: Measure): number {
  switch (measure) {
    case 'ratio': return medianRatio(times(row.ours), times(row.theirs))
    case 'durationMs': return median(times(row.ours))
    case 'wireBytes': return middle(row.ours, 'wireBytes')
    case 'wireShare': return middle(row.ours, 'wireBytes') / (row.changedBytes ?? NaN)
    case 'peakBytes': return Math.max(highest(row.ours, 'clientPeakBytes'), highest(row.ours, 'serverPeakBytes'))
    case 'growth': return median(times(row.ours)) / (row.tenthMs ?? NaN)
    case 'cpuGrowth': return totalCpuMs(row.ours) / (row.tenthCpuMs ?? NaN)
    case 'clientCpuMs': return middle(row.ours, 'clientCpuMs')
    case 'serverWrittenBytes': return middle(row.ours, 'serverWrittenBytes')
    case 'clientCpuOfPush': return middle(row.ours, 'clientCpuMs') / middle(row.firstPush ?? [], 'clientCpuMs')
    case 'serverCpuOfPush': return middle(row.ours, 'serverCpuMs') / middle(row.firstPush ?? [], 'serverCpuMs')
    case 'indexGrowth': return (row.indexBytes?.after ?? NaN) / (row.indexBytes?.before ?? NaN)
  }
}

export function times (runs: readonly Timed[]): number[] {
  return runs.map(({ durationMs }) => durationMs)
}

/** The processor time of client and server together: the median of the runs. */
export function totalCpuMs (runs: readonly Timed[]): number {
  return middle(runs, 'clientCpuMs') + middle(runs, 'serverCpuMs')
}

/**
 * The median of a figure; NaN if there are no runs, or a run has none. Other traffic on the interface may spoil a run, but hardly
 * most runs.
 */
export function middle (runs: readonly Timed[], figure: keyof Run): number {
  const values = runs.map(run => run[figure] ?? NaN)
  return values.length === 0 || values.some(Number.isNaN) ? NaN : median(values)
}

/** The highest value of a figure; NaN if a run has none, so that a missing figure does not look like a small one. */
export function highest (runs: readonly Timed[], figure: keyof Run): number {
  return Math.max(...runs.map(run => run[figure] ?? NaN))
}
