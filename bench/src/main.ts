import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawChart } from './chart.ts'
import { Children } from './children.ts'
import { fillLastRun } from './docs-page.ts'
import { describeMachine } from './machine.ts'
import { parseOptions, USAGE } from './options.ts'
import type { Options } from './options.ts'
import { alignedTable, LEGEND, markdownTable, notes, tableRows } from './report.ts'
import { judge } from './row.ts'
import { rsyncVersion } from './rsync-side.ts'
import { sshdProblem } from './rsync-servers.ts'
import { runCases } from './run-cases.ts'
import type { Results } from './run-cases.ts'

const DEFAULT_JSON_FILE = fileURLToPath(new URL('../results/last.json', import.meta.url))
const DOCS_PAGE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))
const DOCS_CHART = fileURLToPath(new URL('../../docs/benchmarks.svg', import.meta.url))
const INTERRUPTED = 130

function log (text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

async function bench (options: Options): Promise<number> {
  const rsync = await rsyncVersion(new Children())
  const hasPeer = options.cases.some(one => one.hasPeer)
  if (rsync === undefined && hasPeer) {
    throw new Error('rsync, which FileSync is compared with, is not installed. On Debian: apt install rsync')
  }
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => { stop.abort(new Error('stopped')) })
  const parent = options.directory ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir())
  mkdirSync(parent, { recursive: true })
  const scratch = mkdtempSync(join(parent, 'filesync-bench-'))
  const startedAt = new Date().toISOString()
  const machine = `${describeMachine(scratch)}; rsync ${rsync ?? 'not installed'}`
  const setting = `seed ${options.seed}, scale ${options.scale}, ${options.pairs} ${options.pairs === 1 ? 'pair' : 'pairs'}`
  log(`${setting}; ${machine}`)
  try {
    const problem = hasPeer ? await sshdProblem(join(scratch, 'sshd'), new Children()) : 'No case needs it.'
    if (problem !== undefined && hasPeer) log(`rsync through ssh is not measured: ${problem}`)
    const results = await runCases({ ...options, scratch, throughSsh: problem === undefined, signal: stop.signal, log })
    report(options, results, { startedAt, machine, setting })
    return results.failures.length === 0 ? 0 : 1
  } catch (error) {
    if (!stop.signal.aborted) throw error
    log('stopped; no results are written')
    return INTERRUPTED
  } finally {
    if (options.keep) log(`kept: ${scratch}`)
    else rmSync(scratch, { recursive: true, force: true })
  }
}

function report (options: Options, { rows, failures }: Results, about: { startedAt: string, machine: string, setting: string }): void {
  const table = tableRows(rows, failures)
  const small = options.scale === 1 ? [] : [`the bars are for full size; these figures are for a scale of ${options.scale}`]
  const remarks = [LEGEND, ...notes(rows), ...small]
  process.stdout.write(`${alignedTable(table)}\n${remarks.join('\n')}\n`)
  const chart = drawChart(rows, `FileSync's bars on ${about.startedAt.slice(0, 10)} (${about.setting})`)
  const { seed, scale, pairs } = options
  mkdirSync(dirname(resolve(options.jsonFile)), { recursive: true })
  const judged = rows.map(row => ({ ...row, verdicts: judge(row) }))
  writeFileSync(options.jsonFile, `${JSON.stringify({ ...about, seed, scale, pairs, rows: judged, failures }, undefined, 2)}\n`)
  writeFileSync(options.jsonFile.replace(/(\.json)?$/u, '.svg'), chart)
  log(`wrote ${options.jsonFile} and the chart beside it`)
  if (!options.writeDocs) return
  const text = [
    `${about.startedAt.slice(0, 10)}; ${about.setting}; ${about.machine}.`, markdownTable(table),
    remarks.map(remark => `- ${remark}`).join('\n'), '![The share of each bar that was used](benchmarks.svg)',
  ]
  writeFileSync(DOCS_PAGE, fillLastRun(readFileSync(DOCS_PAGE, 'utf8'), text.join('\n\n')))
  writeFileSync(DOCS_CHART, chart)
  log('wrote docs/benchmarks.md and docs/benchmarks.svg')
}

async function main (): Promise<number> {
  let options: Options | undefined
  try {
    options = parseOptions(process.argv.slice(2), DEFAULT_JSON_FILE)
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 2
  }
  if (options === undefined) {
    process.stdout.write(USAGE)
    return 0
  }
  return await bench(options)
}

process.exitCode = await main()
