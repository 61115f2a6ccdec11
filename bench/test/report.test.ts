import { expect, test } from 'vitest'
import { drawChart } from '../src/chart.ts'
import { fillLastRun } from '../src/docs-page.ts'
import { parseOptions } from '../src/options.ts'
import { alignedTable, COLUMNS, formatBytes, formatMs, markdownTable, notes, tableRows } from '../src/report.ts'
import { atMost, judge, under } from '../src/row.ts'
import type { Row } from '../src/row.ts'
import { statistic } from '../src/rsync-side.ts'
import { median, medianRatio } from '../src/statistics.ts'
import { expectWellFormed } from './support/well-formed.ts'

const run = {
  clientCpuMs: 100, serverCpuMs: 200, clientPeakBytes: 90_000_000, serverPeakBytes: 120_000_000, wireBytes: 1_500_000, toldBytes: 1_400_000,
  clientAnonymousBytes: 40_000_000, serverAnonymousBytes: 50_000_000, serverWrittenBytes: 5000,
}
const row: Row = {
  case: 'insert-front',
  work: 'one byte <inserted> & "moved"',
  bars: [atMost('ratio', 0.40), under('wireBytes', 1_500_000), under('peakBytes', 250_000_000)],
  ours: [{ ...run, durationMs: 100 }, { ...run, durationMs: 900 }, { ...run, durationMs: 200 }],
  theirs: [{ ...run, durationMs: 1000 }, { ...run, durationMs: 1000 }, { ...run, durationMs: 1000 }],
  reference: { name: 'cat | cat', durationsMs: [50, 60, 70] },
  note: 'as told',
}

test('a median is the middle value, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([10, 1, 2, 4])).toBe(3)
  expect(() => median([])).toThrow(/no values/u)
})

test('a ratio is the median of the ratios of the pairs', () => {
  expect(medianRatio([10, 30, 60], [20, 100, 60])).toBe(0.5)
  expect(() => medianRatio([1, 2], [1])).toThrow(/do not pair/u)
})

test('bars hold or do not, at the limit itself too', () => {
  expect(judge(row).map(({ value, holds }) => [value, holds])).toEqual([[0.2, true], [1_500_000, false], [120_000_000, true]])
  expect(judge({ ...row, bars: [atMost('wireBytes', 1_500_000)] })[0]?.holds).toBe(true)
  expect(judge({ ...row, bars: [under('wireShare', 0.02)], changedBytes: 100_000_000 })[0]).toMatchObject({ value: 0.015, holds: true })
  expect(judge({ ...row, bars: [atMost('growth', 12)], tenthMs: 10 })[0]).toMatchObject({ value: 20, holds: false })
})

test('work is compared with its tenth, its first push and its index, and a missing one is an error', () => {
  const compared: Row = {
    ...row, bars: [atMost('cpuGrowth', 12), atMost('clientCpuOfPush', 2), atMost('serverCpuOfPush', 1), atMost('indexGrowth', 1.2)],
    tenthCpuMs: 20, firstPush: [{ ...run, durationMs: 1, clientCpuMs: 50, serverCpuMs: 400 }], indexBytes: { before: 100, after: 150 },
  }
  expect(judge(compared).map(({ value, holds }) => [value, holds])).toEqual([[15, false], [2, true], [0.5, true], [1.5, false]])
  expect(tableRows([compared])[0]?.slice(5, 7)).toEqual([
    "at most 12.0 times the CPU of a tenth; at most 2.00 of a push's client CPU; at most 1.00 of a push's server CPU; " +
      'at most 1.20 times the index',
    'no: 15.0 times the CPU of a tenth; 1.50 times the index',
  ])
  for (const bar of compared.bars) expect(() => judge({ ...row, bars: [bar] }), bar.measure).toThrow(/no figure/u)
  const bars = [under('clientCpuMs', 100), under('serverWrittenBytes', 6000)]
  expect(judge({ ...row, bars }).map(({ holds }) => holds)).toEqual([false, true])
})

test('a bar without a figure is an error', () => {
  expect(() => judge({ ...row, theirs: [] })).toThrow(/pair/u)
  expect(() => judge({ ...row, bars: [under('wireShare', 0.02)] })).toThrow(/no figure/u)
  const [first, ...others] = row.ours
  const incomplete: Row = { ...row, bars: [under('peakBytes', 1)], ours: [{ durationMs: first?.durationMs ?? 0 }, ...others] }
  expect(() => judge(incomplete)).toThrow(/no figure/u)
})

test('the table has a cell for each column, and shows failures', () => {
  const rows = tableRows([row], [{ case: 'photos', message: 'The destination differs: x\nand more' }])
  expect(rows.map(cells => cells.length)).toEqual([COLUMNS.length, COLUMNS.length, COLUMNS.length])
  expect(rows[0]).toEqual([
    'insert-front', row.work, '200 ms', '1.00 s', '0.20',
    'at most 0.40 of theirs; under 1.5 MB on the wire; under 250 MB resident', 'no: 1.5 MB on the wire',
    '0.10 s + 0.20 s / 0.10 s + 0.20 s', '90.0 MB + 120 MB / 90.0 MB + 120 MB', '1.5 MB / 1.5 MB',
  ])
  expect(rows[1]).toEqual(['', 'limit: cat | cat', '60 ms', '', '0.06', '', '', '', '', ''])
  expect(rows[2]?.slice(0, 2)).toEqual(['photos', 'FAILED: The destination differs: x'])
  const lines = alignedTable(rows).split('\n')
  expect(lines).toHaveLength(4)
  expect(new Set(lines.slice(0, 2).map(line => line.search(/bar|at most/u))).size).toBe(1)
  expect(notes([row, row])).toEqual(['insert-front: as told'])
})

test('rsync through ssh has a row below rsync, with its own ratio', () => {
  const throughSsh = [{ ...run, durationMs: 400 }, { ...run, durationMs: 1000 }, { ...run, durationMs: 500 }]
  const rows = tableRows([{ ...row, throughSsh }, { ...row, throughSsh: [] }])
  expect(rows.map(([, work]) => work)).toEqual([row.work, 'against rsync through ssh', 'limit: cat | cat', row.work, 'limit: cat | cat'])
  expect(rows[1]).toEqual(['', 'against rsync through ssh', '', '500 ms', '0.40', '', '', '0.10 s + 0.20 s', '90.0 MB + 120 MB', '1.5 MB'])
})

test('a detailed row has memory without mapped files and what was written below it', () => {
  const detailed = tableRows([{ ...row, isDetailed: true }]).slice(1, 3)
  expect(detailed).toEqual([
    ['', 'without mapped files', '', '', '', '', '', '', '40.0 MB + 50.0 MB', ''],
    ['', 'written', '', '', '', '', '', '', '', '5.0 kB'],
  ])
  const running = row.ours.map(one => ({ ...one, clientWrittenBytes: 700 }))
  expect(tableRows([{ ...row, ours: running, isDetailed: true }])[2]?.at(-1)).toBe('700 B + 5.0 kB')
})

test('a Markdown table escapes what would end a cell', () => {
  const lines = markdownTable(tableRows([row])).split('\n')
  expect(lines).toHaveLength(4)
  expect(lines.at(-1)).toContain('cat \\| cat')
})

test('the chart is well-formed, has every bar, and says in words which ones hold', () => {
  const svg = drawChart([row, { ...row, bars: [], work: 'nothing to reach' }], 'a < b & c')
  expectWellFormed(svg)
  expect(svg.match(/: holds</gu)).toHaveLength(2)
  expect(svg.match(/: missed</gu)).toHaveLength(1)
  expect(svg).not.toContain('nothing to reach')
  expect(svg).not.toMatch(/NaN|Infinity|undefined/u)
})

test('the page is changed only between its marks', () => {
  const page = 'before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n'
  const filled = fillLastRun(page, 'new')
  expect(filled).toBe('before\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nafter\n')
  expect(fillLastRun(filled, 'new')).toBe(filled)
  expect(() => fillLastRun('no marks', 'new')).toThrow(/has no/u)
})

test('amounts are formatted with units', () => {
  expect([0, 999, 1500, 250_000_000, 2 ** 31].map(formatBytes)).toEqual(['0 B', '999 B', '1.5 kB', '250 MB', '2.1 GB'])
  expect([19.6, 999, 1234].map(formatMs)).toEqual(['20 ms', '999 ms', '1.23 s'])
})

test('figures are read from the output of rsync', () => {
  expect(statistic('x\nTotal bytes sent: 2,136,191\nTotal bytes received: 40\n', 'Total bytes sent')).toBe(2_136_191)
  expect(() => statistic('x', 'Total bytes sent')).toThrow(/printed no/u)
})

test('options are validated', () => {
  expect(
    parseOptions(['append', 'photos', '--scale', '0.1', '--pairs', '5', '--keep'], 'x.json')
  ).toMatchObject({ scale: 0.1, pairs: 5, keep: true, jsonFile: 'x.json', writeDocs: false })
  expect(parseOptions(['append', 'photos'], 'x.json')?.cases.map(({ name }) => name)).toEqual(['append', 'photos'])
  expect(parseOptions(['--help'], 'x.json')).toBeUndefined()
  const named = (name: string): (string | undefined)[] => parseOptions([name], 'x.json')?.cases.map(one => one.name) ?? []
  expect(named('change-cost')).toEqual(['change-cost:normal', 'change-cost:directories', 'change-cost:one-directory'])
  expect(named('change-cost:normal')).toEqual(['change-cost:normal'])
  expect(parseOptions(['--scale', '0.1'], 'x.json')?.files).toBe(3000)
  expect(parseOptions(['--scale', '0.1', '--files', '1000000'], 'x.json')?.files).toBe(1_000_000)
  for (const args of [
    ['nothing'], ['--scale', '0'], ['--scale', '2'], ['--scale', 'x'], ['--pairs', '0'], ['--pairs', '1.5'], ['--what'],
    ['--files', '0'], ['change'], ['change-cost:'],
  ]) {
    expect(() => parseOptions(args, 'x.json'), args.join(' ')).toThrow()
  }
})
