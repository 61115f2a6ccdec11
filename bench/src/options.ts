import { parseArgs } from 'node:util'
import { CASES } from './cases.ts'
import type { Case } from './cases.ts'

/** What a run of the benchmarks is to do. */
export interface Options {
  readonly cases: readonly Case[]
  readonly scale: number
  readonly pairs: number
  readonly seed: number
  /** Where the data sets are made; undefined: a memory file system where there is one. */
  readonly directory: string | undefined
  /** The picture goes beside it. */
  readonly jsonFile: string
  readonly keep: boolean
  readonly writeDocs: boolean
}

const DEFAULT_SEED = 20_260_101
const DEFAULT_PAIRS = 3
const MOST_PAIRS = 50

export const USAGE: string = `usage: pnpm bench [case...] [options]

Measures FileSync beside rsync on this machine, and prints a table. See docs/benchmarks.md.

  --scale F      the size of the data sets, 1 being the full one (default 1)
  --pairs N      how often each side runs, in turn (default ${DEFAULT_PAIRS})
  --seed N       what the data sets are made from (default ${DEFAULT_SEED})
  --dir DIR      where the data sets are made (default: /dev/shm, or else the directory for temporary files)
  --json FILE    where the figures go; the picture goes beside it (default: bench/results/last.json)
  --keep         leave the data sets and destinations where they are
  --write-docs   put the table and the picture into docs/
  --help

cases, all unless given:
${CASES.map(({ name, about }) => `  ${name.padEnd(20)}${about}`).join('\n')}
`

/** Throws with what is wrong; undefined where help is asked for. */
export function parseOptions (args: readonly string[], defaultJsonFile: string): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1' },
      pairs: { type: 'string', default: String(DEFAULT_PAIRS) },
      seed: { type: 'string', default: String(DEFAULT_SEED) },
      dir: { type: 'string' },
      json: { type: 'string', default: defaultJsonFile },
      keep: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale ${values.scale} is not a number above 0 and up to 1.`)
  return {
    cases: chosen(positionals),
    scale,
    pairs: wholeNumber('pairs', values.pairs, MOST_PAIRS),
    seed: wholeNumber('seed', values.seed, 2 ** 32),
    directory: values.dir,
    jsonFile: values.json,
    keep: values.keep,
    writeDocs: values['write-docs'],
  }
}

function chosen (names: readonly string[]): readonly Case[] {
  const unknown = names.find(name => !CASES.some(one => one.name === name))
  if (unknown !== undefined) throw new Error(`There is no case "${unknown}". The cases are: ${CASES.map(({ name }) => name).join(', ')}.`)
  return names.length === 0 ? CASES : CASES.filter(({ name }) => names.includes(name))
}

function wholeNumber (name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) throw new Error(`--${name} ${text} is not a whole number from 1 to ${most}.`)
  return value
}
