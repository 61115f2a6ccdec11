import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { makeMillion } from './data-set.ts'
import type { DataSet } from './data-set.ts'
import { measure, noPairs, openOurs, openTheirs, withSide } from './pairs.ts'
import type { OpenSide, Pairs } from './pairs.ts'
import { atMost, times, under } from './row.ts'
import type { Row } from './row.ts'
import { median } from './statistics.ts'

const PEAK_BYTES = 350_000_000
/** Ten times as many files may take slightly more than ten times as long. */
const GROWTH = 12

interface FirstAndAgain {
  readonly first: Pairs
  readonly again: Pairs
}

/** Compares how the time grows from a tree of 100,000 files to a similar one with ten times as many. */
export async function measureMillion (bench: Bench): Promise<Row[]> {
  const tenth = await firstAndAgain(bench, bench.scale / 10, [openOurs])
  const full = await firstAndAgain(bench, bench.scale, [openOurs, openTheirs])
  const bars = [under('peakBytes', PEAK_BYTES), atMost('growth', GROWTH)]
  return [
    { case: 'million', work: '1,000,000 files, first sync', bars, ...full.first, tenthMs: median(times(tenth.first.ours)) },
    { case: 'million', work: '1,000,000 files, no change', bars, ...full.again, tenthMs: median(times(tenth.again.ours)) },
  ]
}

async function firstAndAgain (bench: Bench, scale: number, sides: readonly OpenSide[]): Promise<FirstAndAgain> {
  const home = mkdtempSync(join(bench.home, 's-'))
  const set = await makeMillion(join(home, 'tree'), { ...bench, scale })
  bench.log(`made ${set.files.length} files`)
  const results: FirstAndAgain = { first: noPairs(), again: noPairs() }
  for (let pair = 0; pair < bench.pairs; pair++) {
    for (const open of sides) await pushTwice(bench, { set, open, results })
    bench.log(`${set.files.length} files, pair ${pair + 1} of ${bench.pairs}: ${last(results.first)} first, ${last(results.again)} again`)
  }
  rmSync(home, { recursive: true })
  return results
}

// One side at a time: two million files with two copies do not fit on a memory file system.
async function pushTwice (bench: Bench, { set, open, results }: { set: DataSet, open: OpenSide, results: FirstAndAgain }): Promise<void> {
  const whose = open === openOurs ? 'ours' : 'theirs'
  await withSide(await open(bench), async side => {
    results.first[whose].push(await measure(bench, side, set))
    results.again[whose].push(await measure(bench, side, set))
  })
}

function last ({ ours, theirs }: Pairs): string {
  const seconds = (runs: Pairs['ours']): string => runs.length === 0 ? '' : `${((runs.at(-1)?.durationMs ?? NaN) / 1000).toFixed(2)} s`
  return [seconds(ours), seconds(theirs)].filter(text => text !== '').join(' against ')
}
