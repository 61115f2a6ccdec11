import { highest, judge, middle, times } from './row.ts'
import type { Measure, Row, Timed, Verdict } from './row.ts'
import { median, medianRatio } from './statistics.ts'

/** A case that failed, and why. */
export interface Failure {
  readonly case: string
  readonly message: string
}

export const COLUMNS = ['case', 'work', 'ours', 'theirs', 'ratio', 'bar', 'holds?', 'CPU', 'memory', 'wire'] as const

/** What the columns mean. */
export const LEGEND: string = 'ours / theirs; CPU and memory as client + server; a ratio is the median of the ratios of the pairs; ' +
  'times, CPU and wire are medians, memory is the highest'

const NOTHING = '–'
/** The whole message is in the log and in the JSON. */
const FAILURE_WIDTH = 80

/** The rows of the table, with a cell for each column. */
export function tableRows (rows: readonly Row[], failures: readonly Failure[] = []): string[][] {
  return [
    ...rows.flatMap(row => [
      cells(row),
      ...row.isDetailed === true ? detailCells(row.ours) : [],
      ...row.throughSsh === undefined || row.throughSsh.length === 0 ? [] : [throughSshCells(row.ours, row.throughSsh)],
      ...row.reference === undefined ? [] : [referenceCells(row, row.reference)],
    ]),
    ...failures.map(failureCells),
  ]
}

/** The notes on single rows, without duplicates. */
export function notes (rows: readonly Row[]): string[] {
  const all = rows.flatMap(({ case: name, note }) => note === undefined ? [] : [`${name}: ${note}`])
  return [...new Set(all)]
}

function cells (row: Row): string[] {
  const verdicts = judge(row)
  const hasPeer = row.theirs.length > 0
  return [
    row.case,
    row.work,
    formatMs(median(times(row.ours))),
    hasPeer ? formatMs(median(times(row.theirs))) : NOTHING,
    hasPeer ? medianRatio(times(row.ours), times(row.theirs)).toFixed(2) : NOTHING,
    verdicts.length === 0 ? NOTHING : verdicts.map(describeBar).join('; '),
    describeVerdicts(verdicts),
    ...consumed(row.ours).map((ours, i) => hasPeer ? `${ours} / ${consumed(row.theirs)[i] ?? NOTHING}` : ours),
  ]
}

function throughSshCells (ours: readonly Timed[], theirs: readonly Timed[]): string[] {
  return [
    '', 'against rsync through ssh', '', formatMs(median(times(theirs))), medianRatio(times(ours), times(theirs)).toFixed(2), '', '',
    ...consumed(theirs),
  ]
}

function failureCells ({ case: name, message }: Failure): string[] {
  return [name, `FAILED: ${message.split('\n')[0]?.slice(0, FAILURE_WIDTH) ?? ''}`, '', '', '', '', 'no', '', '', '']
}

/** Processor time, memory and bytes on the wire, in the order of the columns. */
function consumed (runs: readonly Timed[]): string[] {
  return [
    amounts([middle(runs, 'clientCpuMs'), middle(runs, 'serverCpuMs')], value => `${(value / 1000).toFixed(2)} s`),
    amounts([highest(runs, 'clientPeakBytes'), highest(runs, 'serverPeakBytes')], formatBytes),
    amounts([middle(runs, 'wireBytes')], formatBytes),
  ]
}

/** Lines below a row, each with one cell that says more than the same cell of the row. */
function detailCells (runs: readonly Timed[]): string[][] {
  const memory = amounts([highest(runs, 'clientAnonymousBytes'), highest(runs, 'serverAnonymousBytes')], formatBytes)
  const written = runs.some(run => run.clientWrittenBytes !== undefined)
    ? amounts([middle(runs, 'clientWrittenBytes'), middle(runs, 'serverWrittenBytes')], formatBytes)
    : amounts([middle(runs, 'serverWrittenBytes')], formatBytes)
  return [['', 'without mapped files', '', '', '', '', '', '', memory, ''], ['', 'written', '', '', '', '', '', '', '', written]]
}

function referenceCells (row: Row, { name, durationsMs }: NonNullable<Row['reference']>): string[] {
  const ratio = durationsMs.length === row.theirs.length ? medianRatio(durationsMs, times(row.theirs)).toFixed(2) : NOTHING
  return ['', `limit: ${name}`, formatMs(median(durationsMs)), '', ratio, '', '', '', '', '']
}

/** A bar as text, such as "at most 0.50 of theirs". */
export function describeBar ({ measure, limit, isStrict }: Verdict): string {
  return `${isStrict ? 'under' : 'at most'} ${describeValue(measure, limit)}`
}

function describeValue (measure: Measure, value: number): string {
  switch (measure) {
    case 'ratio': return `${value.toFixed(2)} of theirs`
    case 'durationMs': return formatMs(value)
    case 'wireBytes': return `${formatBytes(value)} on the wire`
    case 'wireShare': return `${(value * 100).toFixed(value < 0.001 ? 3 : 1)} % of its bytes on the wire`
    case 'peakBytes': return `${formatBytes(value)} resident`
    case 'growth': return `${value.toFixed(1)} times the time of a tenth`
    case 'cpuGrowth': return `${value.toFixed(1)} times the CPU of a tenth`
    case 'clientCpuMs': return `${formatMs(value)} of the client's CPU`
    case 'serverWrittenBytes': return `${formatBytes(value)} written by the server`
    case 'clientCpuOfPush': return `${value.toFixed(2)} of a push's client CPU`
    case 'serverCpuOfPush': return `${value.toFixed(2)} of a push's server CPU`
    case 'indexGrowth': return `${value.toFixed(2)} times the index`
  }
}

function describeVerdicts (verdicts: readonly Verdict[]): string {
  const missed = verdicts.filter(({ holds }) => !holds)
  if (verdicts.length === 0) return NOTHING
  return missed.length === 0 ? 'yes' : `no: ${missed.map(({ measure, value }) => describeValue(measure, value)).join('; ')}`
}

function amounts (values: readonly number[], format: (value: number) => string): string {
  return values.every(Number.isFinite) ? values.map(format).join(' + ') : NOTHING
}

export function formatMs (ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** In decimal units, like the bars for memory. */
export function formatBytes (bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB']
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${power > 0 && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power] ?? ''}`
}

/** Columns of equal width, for a terminal. */
export function alignedTable (rows: readonly (readonly string[])[]): string {
  const all = [COLUMNS, ...rows]
  const widths = COLUMNS.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  return all.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

/** The table in Markdown. */
export function markdownTable (rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]): string => `| ${row.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(COLUMNS), line(COLUMNS.map(() => '---')), ...rows.map(line)].join('\n')
}
