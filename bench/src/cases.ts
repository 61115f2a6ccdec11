import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { addPhotos, append, changeOnePercent, insertFront, renameDirectory, workADay } from './changes.ts'
import type { Change } from './changes.ts'
import { makeAlbum, makeLargeFile, makePhotos, makeSmallFiles, makeSourceTree } from './data-set.ts'
import type { DataSet } from './data-set.ts'
import { timeToFirstFile } from './first-file.ts'
import { changedPairs, firstPairs, measure, openOurs, openTheirs, unchangedPairs, verify, withSide } from './pairs.ts'
import type { Pairs } from './pairs.ts'
import { measureMillion } from './million.ts'
import { scanAlone, transferAlone } from './parts-alone.ts'
import { PipeLimit } from './pipe-limits.ts'
import { atMost, under } from './row.ts'
import type { Bar, Row } from './row.ts'
import { runningPairs, watchingRuns } from './running-client.ts'
import type { Run } from './side.ts'
import { warmMemory } from './warm-memory.ts'

/** One thing to measure. */
export interface Case {
  readonly name: string
  /** In a sentence, for people. */
  readonly about: string
  readonly limitMinutes: number
  readonly run: (bench: Bench) => Promise<Row[]>
}

const MIB = 1 << 20
const MB = 1_000_000
const LIMIT_MINUTES = 20

/** Everything that is measured, in the order of the table. */
export const CASES: readonly Case[] = [
  of('first-small', '100,000 files of 1.1 GB, the destination empty', firstSmall),
  of('no-change', '100,000 files, nothing changed: the whole process, Node start-up included', noChange),
  of('no-change-running', '100,000 files, nothing changed: a run inside a client that goes on running and walks the tree', noChangeRunning),
  of('watch-wake-up', 'nothing changed in a tree that the running client watches: from wake-up to NEXT_SYNC', watchWakeUp),
  of('first-large', 'one file of 2 GiB, the destination empty', firstLarge),
  of('insert-front', 'one byte inserted at the front of the 2 GiB file', async bench => await largeChanged(bench, insertFront, ['one byte inserted at the front of 2 GiB', atMost('ratio', 0.40)])),
  of('append', '1 MiB appended to the 2 GiB file', async bench => await largeChanged(bench, append, ['1 MiB appended to 2 GiB'])),
  of('rename-directory', 'a directory of 10,000 files gets another name', renamed),
  of('one-percent', 'one of every hundred of 100,000 files gets new content', onePercent),
  { ...of('million', '1,000,000 tiny files: first sync, then no change', measureMillion), limitMinutes: 60 },
  of('memory', 'resident memory while the 2 GiB file is sent, and while its change is', memory),
  of('first-file-stored', '100,000 files: from the start of the client until the first of them stands in the archive', firstFileStored),
  of('photos', '1,000 photos of 2 to 8 MB, each with a small text; then a day with the camera', photos),
  of('source-history', '20,000 source files and their packed history; then a day of work', sourceHistory),
  of('scan-alone', 'walk and digests: @filesync/scanner by itself', scanAlone),
  of('transfer-alone', 'reading, packing, hashing and sending with nothing stored: @filesync/transfer by itself', transferAlone),
]

function of (name: string, about: string, run: Case['run']): Case {
  return { name, about, limitMinutes: LIMIT_MINUTES, run }
}

async function firstSmall (bench: Bench): Promise<Row[]> {
  const set = await made(bench, makeSmallFiles)
  const limit = PipeLimit.tar()
  const pairs = await firstPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'first-small', work: 'first sync, 100k small files', bars: [atMost('ratio', 0.50)], ...pairs, reference: limit }]
}

async function noChange (bench: Bench): Promise<Row[]> {
  const set = await made(bench, makeSmallFiles)
  const limit = PipeLimit.find()
  const pairs = await unchangedPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'no-change', work: 'nothing changed, 100k files', bars: [atMost('ratio', 0.60)], ...pairs, reference: limit }]
}

async function noChangeRunning (bench: Bench): Promise<Row[]> {
  const pairs = await runningPairs(bench, await made(bench, makeSmallFiles))
  return [{ case: 'no-change-running', work: 'nothing changed, 100k files, inside a running client', bars: [atMost('ratio', 0.35)], ...pairs, note: AS_TOLD }]
}

const AS_TOLD = 'our time is what the running client tells of its run, in whole milliseconds'

async function watchWakeUp (bench: Bench): Promise<Row[]> {
  const rows: Row[] = []
  for (const [size, scale] of [['100k', bench.scale], ['10k', bench.scale / 10]] as const) {
    const ours = await watchingRuns(bench, await made({ ...bench, scale }, makeSmallFiles))
    rows.push({ case: 'watch-wake-up', work: `nothing changed, ${size} files watched`, bars: [under('durationMs', 20)], ours, theirs: [], note: AS_TOLD })
  }
  return rows
}

async function firstLarge (bench: Bench): Promise<Row[]> {
  const set = await made(bench, makeLargeFile)
  const limit = PipeLimit.cat()
  const pairs = await firstPairs(bench, set, async () => { await limit.measure(bench, set) })
  return [{ case: 'first-large', work: 'first sync, 2 GiB file', bars: [atMost('ratio', 0.45)], ...pairs, reference: limit }]
}

async function largeChanged (bench: Bench, change: Change, [work, ...bars]: readonly [string, ...Bar[]]): Promise<Row[]> {
  const { changed } = await changedPairs(bench, await made(bench, makeLargeFile), change)
  return [{ case: change === append ? 'append' : 'insert-front', work, bars: [...bars, under('wireBytes', 2 * MIB)], ...changed }]
}

async function renamed (bench: Bench): Promise<Row[]> {
  const { changed, changedBytes } = await changedPairs(bench, await made(bench, makeAlbum), renameDirectory)
  return [{ case: 'rename-directory', work: 'directory of 10k files renamed', bars: [under('wireShare', 0.02)], ...changed, changedBytes }]
}

async function onePercent (bench: Bench): Promise<Row[]> {
  const { changed, changedBytes } = await changedPairs(bench, await made(bench, makeSmallFiles), changeOnePercent)
  return [{ case: 'one-percent', work: '1 % of 100k files changed', bars: [atMost('ratio', 0.5)], ...changed, changedBytes }]
}

async function memory (bench: Bench): Promise<Row[]> {
  const set = await made(bench, makeLargeFile)
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
  const set = await made(bench, makeSmallFiles)
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
  const { first, changed, changedBytes } = await changedPairs(bench, await made(bench, makePhotos), addPhotos)
  return both('photos', ['photo library, first sync', 'photo library, a day with the camera'], { first, changed, changedBytes })
}

async function sourceHistory (bench: Bench): Promise<Row[]> {
  const { first, changed, changedBytes } = await changedPairs(bench, await made(bench, makeSourceTree), workADay)
  return both('source-history', ['source tree with history, first sync', 'source tree with history, a day of work'], { first, changed, changedBytes })
}

function both (name: string, [before, after]: readonly [string, string], { first, changed, changedBytes }: { first: Pairs, changed: Pairs, changedBytes: number }): Row[] {
  return [
    { case: name, work: before, bars: [], ...first },
    { case: name, work: after, bars: [], ...changed, changedBytes },
  ]
}

async function made (bench: Bench, make: (root: string, bench: Bench) => Promise<DataSet>): Promise<DataSet> {
  const set = await make(join(mkdtempSync(join(bench.home, 's-')), 'tree'), bench)
  bench.say(`made ${set.files.length} files, ${(set.bytes / MB).toFixed(1)} MB`)
  return set
}
