import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { BURST_CASE } from './burst.ts'
import { makeCase } from './case.ts'
import type { Case } from './case.ts'
import { addPhotos, append, changeOnePercent, insertFront, renameDirectory, workADay } from './changes.ts'
import type { Change } from './changes.ts'
import { makeAlbum, makeLargeFile, makePhotos, makeSmallFiles, makeSourceTree } from './data-set.ts'
import type { DataSet } from './data-set.ts'
import { timeToFirstFile } from './first-file.ts'
import { LARGE_TREE_CASES } from './large-trees/cases.ts'
import { changedPairs, firstPairs, measure, openOurs, openTheirs, unchangedPairs, verify, withSide } from './pairs.ts'
import type { ChangedPairs } from './pairs.ts'
import { measureMillion } from './million.ts'
import { scanAlone, transferAlone } from './parts-alone.ts'
import { PipeLimit } from './pipe-limits.ts'
import { atMost, under } from './row.ts'
import type { Bar, Row } from './row.ts'
import { runningPairs, watchingRuns } from './running-client.ts'
import type { Run } from './side.ts'
import { warmMemory } from './warm-memory.ts'

const MIB = 1 << 20
const MB = 1_000_000

/** All cases, in the order of the table. */
export const CASES: readonly Case[] = [
  makeCase('first-small', '100,000 files of 1.1 GB in total, to an empty destination', firstSmall),
  makeCase('no-change', '100,000 files, nothing changed: the whole process, start-up of Node included', noChange),
  makeCase(
    'no-change-running', '100,000 files, nothing changed: one run of a client that keeps running and walks the tree', noChangeRunning
  ),
  makeCase('watch-wake-up', 'nothing changed in a tree that a running client watches: from wake-up to NEXT_SYNC', watchWakeUp),
  makeCase('first-large', 'one file of 2 GiB, to an empty destination', firstLarge),
  makeCase(
    'insert-front', 'one byte inserted at the front of the 2 GiB file',
    async bench => await largeChanged(bench, insertFront, ['one byte inserted at the front of 2 GiB', atMost('ratio', 0.40)])
  ),
  makeCase('append', '1 MiB appended to the 2 GiB file', async bench => await largeChanged(bench, append, ['1 MiB appended to 2 GiB'])),
  makeCase('rename-directory', 'a directory of 10,000 files is renamed', renamed),
  makeCase('one-percent', 'one in a hundred of 100,000 files gets new content', onePercent),
  { ...makeCase('million', '1,000,000 tiny files: first sync, then no change', measureMillion), limitMinutes: 60 },
  makeCase('memory', 'resident memory while a 2 GiB file is sent, and while a change to it is', memory),
  makeCase('first-file-stored', '100,000 files: from the start of the client until the first one is stored', firstFileStored),
  makeCase('photos', '1,000 photos of 2 to 8 MB, each with a small text; then a day with the camera', photos),
  makeCase('source-history', '20,000 source files and their packed history; then a day of work', sourceHistory),
  makeCase('scan-alone', 'walk and digests: @filesync/scanner alone', scanAlone),
  makeCase('transfer-alone', 'reading, packing, hashing and sending without storing: @filesync/transfer alone', transferAlone),
  ...LARGE_TREE_CASES,
  BURST_CASE,
]

async function firstSmall (bench: Bench): Promise<Row[]> {
  const set = await makeSet(bench, makeSmallFiles)
  const limit = PipeLimit.tar()
  const pairs = await firstPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'first-small', work: 'first sync, 100k small files', bars: [atMost('ratio', 0.50)], ...pairs, reference: limit }]
}

async function noChange (bench: Bench): Promise<Row[]> {
  const set = await makeSet(bench, makeSmallFiles)
  const limit = PipeLimit.find()
  const pairs = await unchangedPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'no-change', work: 'nothing changed, 100k files', bars: [atMost('ratio', 0.60)], ...pairs, reference: limit }]
}

async function noChangeRunning (bench: Bench): Promise<Row[]> {
  const pairs = await runningPairs(bench, await makeSet(bench, makeSmallFiles))
  const work = 'nothing changed, 100k files, inside a running client'
  return [{ case: 'no-change-running', work, bars: [atMost('ratio', 0.35)], ...pairs, note: AS_REPORTED }]
}

const AS_REPORTED = 'our time is what the running client reports for its run, in whole milliseconds'

async function watchWakeUp (bench: Bench): Promise<Row[]> {
  const rows: Row[] = []
  for (const [size, scale] of [['100k', bench.scale], ['10k', bench.scale / 10]] as const) {
    const ours = await watchingRuns(bench, await makeSet({ ...bench, scale }, makeSmallFiles))
    rows.push({
      case: 'watch-wake-up', work: `nothing changed, ${size} files watched`, bars: [under('durationMs', 20)], ours, theirs: [],
      note: AS_REPORTED,
    })
  }
  return rows
}

async function firstLarge (bench: Bench): Promise<Row[]> {
  const set = await makeSet(bench, makeLargeFile)
  const limit = PipeLimit.cat()
  const pairs = await firstPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'first-large', work: 'first sync, 2 GiB file', bars: [atMost('ratio', 0.45)], ...pairs, reference: limit }]
}

async function largeChanged (bench: Bench, change: Change, [work, ...bars]: readonly [string, ...Bar[]]): Promise<Row[]> {
  const { changed } = await changedPairs(bench, await makeSet(bench, makeLargeFile), change)
  return [{ case: change === append ? 'append' : 'insert-front', work, bars: [...bars, under('wireBytes', 2 * MIB)], ...changed }]
}

async function renamed (bench: Bench): Promise<Row[]> {
  const { changed, changedBytes } = await changedPairs(bench, await makeSet(bench, makeAlbum), renameDirectory)
  return [{ case: 'rename-directory', work: 'directory of 10k files renamed', bars: [under('wireShare', 0.02)], ...changed, changedBytes }]
}

async function onePercent (bench: Bench): Promise<Row[]> {
  const { changed, changedBytes } = await changedPairs(bench, await makeSet(bench, makeSmallFiles), changeOnePercent)
  return [{ case: 'one-percent', work: '1 % of 100k files changed', bars: [atMost('ratio', 0.5)], ...changed, changedBytes }]
}

async function memory (bench: Bench): Promise<Row[]> {
  const set = await makeSet(bench, makeLargeFile)
  const first: Run[] = []
  const changed: Run[] = []
  for (let round = 0; round < bench.pairs; round++) {
    await withSide(await openOurs(bench), async side => {
      first.push(await measure(bench, side, set))
      changed.push(await measure(bench, side, set, insertFront(set, bench, round).touched))
    })
  }
  const bars = [under('peakBytes', 250 * MB)]
  return [
    { case: 'memory', work: 'memory, 2 GiB file sent', bars, ours: first, theirs: [] },
    { case: 'memory', work: 'memory, one byte inserted into 2 GiB', bars, ours: changed, theirs: [] },
  ]
}

async function firstFileStored (bench: Bench): Promise<Row[]> {
  const set = await makeSet(bench, makeSmallFiles)
  const row = { ours: [] as { durationMs: number }[], theirs: [] as { durationMs: number }[] }
  for (let pair = 0; pair < bench.pairs; pair++) {
    for (const [runs, open] of [[row.ours, openOurs], [row.theirs, openTheirs]] as const) {
      await withSide(await open(bench), async side => {
        warmMemory(bench, set)
        runs.push({ durationMs: await timeToFirstFile(side.startPush(set.root), side.destination) })
        await verify(bench, side, set)
      })
    }
  }
  return [{ case: 'first-file-stored', work: 'first of 100k files stored', bars: [under('durationMs', 1000)], ...row }]
}

async function photos (bench: Bench): Promise<Row[]> {
  const pairs = await changedPairs(bench, await makeSet(bench, makePhotos), addPhotos)
  return firstAndChangedRows('photos', ['photo library, first sync', 'photo library, a day with the camera'], pairs)
}

async function sourceHistory (bench: Bench): Promise<Row[]> {
  const pairs = await changedPairs(bench, await makeSet(bench, makeSourceTree), workADay)
  return firstAndChangedRows('source-history', ['source tree with history, first sync', 'source tree with history, a day of work'], pairs)
}

function firstAndChangedRows (name: string, [before, after]: readonly [string, string], pairs: ChangedPairs): Row[] {
  const { first, changed, changedBytes } = pairs
  return [
    { case: name, work: before, bars: [], ...first },
    { case: name, work: after, bars: [], ...changed, changedBytes },
  ]
}

async function makeSet (bench: Bench, make: (root: string, bench: Bench) => Promise<DataSet>): Promise<DataSet> {
  const set = await make(join(mkdtempSync(join(bench.home, 's-')), 'tree'), bench)
  bench.log(`made ${set.files.length} files, ${(set.bytes / MB).toFixed(1)} MB`)
  return set
}
