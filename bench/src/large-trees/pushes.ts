import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { compareTrees } from '../compare-trees.ts'
import { OurSide } from '../our-side.ts'
import type { PushRun } from '../our-side.ts'
import { formatBytes } from '../report.ts'
import type { Timed } from '../row.ts'
import type { LargeTree } from './large-tree.ts'

/** What a push must report, so that no other work is measured than what the row says. */
export interface Expected {
  readonly sent: number
  readonly deleted: number
}

export async function openSide ({ home, children }: Bench, intervalSeconds?: number): Promise<OurSide> {
  return await OurSide.open(mkdtempSync(join(home, 'o-')), children, intervalSeconds)
}

/** Pushes a tree once. Throws if it did something else than expected. */
export async function pushTree (bench: Bench, side: OurSide, { root }: LargeTree, expected: Expected): Promise<PushRun> {
  bench.signal.throwIfAborted()
  const run = await side.push(root)
  if (run.filesSent !== expected.sent || run.filesDeleted !== expected.deleted) {
    const instead = `instead of ${expected.sent} and ${expected.deleted}`
    throw new Error(`The push sent ${run.filesSent} files and deleted ${run.filesDeleted}, ${instead}.`)
  }
  return run
}

/** Throws if the server does not hold exactly this tree. */
export async function expectStored ({ seed, signal }: Bench, side: Pick<OurSide, 'destination'>, tree: LargeTree): Promise<void> {
  const { files } = await compareTrees({ source: tree.root, destination: side.destination, seed, signal })
  if (files !== tree.files) throw new Error(`There are ${files} files in ${tree.root} instead of ${tree.files}.`)
}

/** The runs of some steps, by the name of the step, in the order in which they were first taken. */
export class StepRuns {
  readonly #runs = new Map<string, Timed[]>()
  readonly #log: (text: string) => void

  constructor (log: (text: string) => void) {
    this.#log = log
  }

  add (step: string, run: Timed): void {
    const runs = this.#runs.get(step)
    if (runs === undefined) this.#runs.set(step, [run])
    else runs.push(run)
    this.#log(`${step}: ${describe(run)}`)
  }

  /** Throws if the step was never taken. */
  of (step: string): readonly Timed[] {
    const runs = this.#runs.get(step)
    if (runs === undefined) throw new Error(`"${step}" was not measured.`)
    return runs
  }

  get steps (): readonly string[] {
    return [...this.#runs.keys()]
  }
}

function describe (run: Timed): string {
  const seconds = (ms = NaN): string => `${(ms / 1000).toFixed(2)} s`
  const bytes = (value = NaN): string => formatBytes(value)
  return `${seconds(run.durationMs)}, CPU ${seconds(run.clientCpuMs)} + ${seconds(run.serverCpuMs)}, ` +
    `memory ${bytes(run.clientPeakBytes)} + ${bytes(run.serverPeakBytes)} ` +
    `(without mapped files ${bytes(run.clientAnonymousBytes)} + ${bytes(run.serverAnonymousBytes)}), ` +
    `${bytes(run.wireBytes)} on the wire, ${bytes(run.serverWrittenBytes)} written`
}
