import { parseArgs } from 'node:util'
import { CASES } from './cases.ts'
import type { Case } from './case.ts'
import { scaled } from './data-set.ts'
import { LARGE_TREE_CASES } from './large-trees/cases.ts'

/** The options of a run of the benchmarks. */
export interface Options {
  readonly cases: readonly Case[]
  readonly scale: number
  readonly pairs: number
  /** How many files the large trees have. */
  readonly files: number
  readonly seed: number
  /** Where the data sets are made; undefined for a memory file system, if there is one. */
  readonly directory: string | undefined
  /** The chart is written beside it. */
  readonly jsonFile: string
  readonly keep: boolean
  readonly writeDocs: boolean
}

const DEFAULT_SEED = 20_260_101
const DEFAULT_PAIRS = 3
const MOST_PAIRS = 50
/** At full scale: small, because what these trees cost is measured per change or against a part of themselves. */
const DEFAULT_FILES = 30_000
const MOST_FILES = 9_999_999

const NAME_WIDTH = Math.max(...CASES.map(({ name }) => name.length)) + 2
const LARGE_TREE_NAMES = [...new Set(LARGE_TREE_CASES.map(({ name }) => name.split(':')[0]))]

export const USAGE: string = `usage: pnpm bench [case...] [options]

Measures FileSync and rsync on this machine, and prints a table. See docs/benchmarks.md.

  --scale F      the size of the data sets, up to 1 for full size (default 1)
  --files N      the number of files in the trees of ${LARGE_TREE_NAMES.join(', ')}
                 (default ${DEFAULT_FILES} times the scale)
  --pairs N      how often each side runs, in turn (default ${DEFAULT_PAIRS})
  --seed N       the seed of the data sets (default ${DEFAULT_SEED})
  --dir DIR      where to make the data sets (default: /dev/shm, or else the directory for temporary files)
  --json FILE    where to write the figures, with the chart beside it (default: bench/results/last.json)
  --keep         do not remove the data sets and destinations
  --write-docs   write the table and the chart to docs/
  --help

cases (default: all):
${CASES.map(({ name, about }) => `  ${name.padEnd(NAME_WIDTH)}${about}`).join('\n')}
`

/** Throws with what is wrong. Undefined for --help. */
export function parseOptions (args: readonly string[], defaultJsonFile: string): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1' },
      files: { type: 'string' },
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
    cases: chosenCases(positionals),
    scale,
    files: values.files === undefined ? scaled(DEFAULT_FILES, scale) : wholeNumber('files', values.files, MOST_FILES),
    pairs: wholeNumber('pairs', values.pairs, MOST_PAIRS),
    seed: wholeNumber('seed', values.seed, 2 ** 32),
    directory: values.dir,
    jsonFile: values.json,
    keep: values.keep,
    writeDocs: values['write-docs'],
  }
}

function chosenCases (names: readonly string[]): readonly Case[] {
  const isChosen = ({ name }: Case, by: string): boolean => name === by || name.startsWith(`${by}:`)
  const unknown = names.find(name => !CASES.some(one => isChosen(one, name)))
  if (unknown !== undefined) throw new Error(`There is no case "${unknown}". The cases are: ${CASES.map(({ name }) => name).join(', ')}.`)
  return names.length === 0 ? CASES : CASES.filter(one => names.some(name => isChosen(one, name)))
}

function wholeNumber (name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) throw new Error(`--${name} ${text} is not a whole number from 1 to ${most}.`)
  return value
}
