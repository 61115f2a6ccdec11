import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './case.ts'
import { Children } from './children.ts'
import type { Failure } from './report.ts'
import { judge } from './row.ts'
import type { Row } from './row.ts'

export interface RunCasesInit {
  readonly cases: readonly Case[]
  readonly scale: number
  readonly pairs: number
  readonly files: number
  readonly seed: number
  /** Each case uses a new directory in it. */
  readonly scratch: string
  readonly keep: boolean
  readonly throughSsh: boolean
  readonly signal: AbortSignal
  readonly log: (text: string) => void
}

export interface Results {
  readonly rows: Row[]
  readonly failures: Failure[]
}

const MINUTE_MS = 60_000

/** Runs the cases one after the other. A failure is logged, and the next case runs. Throws if the signal is aborted. */
export async function runCases (init: RunCasesInit): Promise<Results> {
  const results: Results = { rows: [], failures: [] }
  for (const one of init.cases) {
    init.log(`${one.name}: ${one.about}`)
    try {
      const rows = await runCase(one, init)
      // A row without a figure for one of its bars is a failure, not a row.
      for (const row of rows) judge(row)
      results.rows.push(...rows)
    } catch (error) {
      init.signal.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      init.log(`${one.name} failed: ${message}`)
      results.failures.push({ case: one.name, message })
    }
  }
  return results
}

async function runCase (one: Case, init: RunCasesInit): Promise<Row[]> {
  const { scale, pairs, files, seed, scratch, keep, throughSsh, signal, log } = init
  const home = mkdtempSync(join(scratch, 'c-'))
  const children = new Children()
  const limit = AbortSignal.timeout(one.limitMinutes * MINUTE_MS)
  const over = AbortSignal.any([signal, limit])
  over.addEventListener('abort', () => { children.killAll() })
  try {
    return await one.run({ scale, pairs, files, seed, throughSsh, signal: over, children, home, log: text => { log(`  ${text}`) } })
  } catch (error) {
    // The errors of programs that were killed do not explain this.
    throw limit.aborted ? new Error(`The case was stopped at its time limit of ${one.limitMinutes} minutes.`, { cause: error }) : error
  } finally {
    children.killAll()
    if (!keep) rmSync(home, { recursive: true, force: true })
  }
}
