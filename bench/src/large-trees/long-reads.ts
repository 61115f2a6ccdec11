import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { FOLDER, ID } from '../our-side.ts'
import type { CommandRun, OurSide } from '../our-side.ts'
import { withSide } from '../pairs.ts'
import { atMost, under } from '../row.ts'
import type { Bar, Row } from '../row.ts'
import { PEAK_BYTES } from './bars.ts'
import { LargeTree } from './large-tree.ts'
import { expectStored, openSide, pushTree, StepRuns } from './pushes.ts'
import { NORMAL } from './tree-shape.ts'

const FIRST = 'first push'
const CHANGED = '1 % changed'
const BARS = new Map<string, readonly Bar[]>([
  [CHANGED, [atMost('indexGrowth', 1.2)]],
  ['restore by the server', [atMost('serverCpuOfPush', 1)]],
  ['restore by the client', [atMost('serverCpuOfPush', 1)]],
  ['safe', [atMost('clientCpuOfPush', 2)]],
])

interface Reading {
  readonly bench: Bench
  readonly side: OurSide
  readonly tree: LargeTree
  readonly runs: StepRuns
}

/** What goes through all that is stored, one after the other with one server that keeps running. */
export async function longReads (bench: Bench): Promise<Row[]> {
  const tree = await LargeTree.make(bench, NORMAL, bench.files)
  bench.log(`made ${tree.files} files in ${tree.directories} directories`)
  const runs = new StepRuns(bench.log)
  let indexBytes = { before: NaN, after: NaN }
  for (let pass = 0; pass < bench.pairs; pass++) {
    await withSide(await openSide(bench), async side => {
      indexBytes = await readEverything({ bench, side, tree, runs })
      bench.log(`index: ${indexBytes.before} bytes, after 1 % changed ${indexBytes.after} bytes`)
    })
  }
  return runs.steps.map(step => ({
    case: 'long-reads', work: `${step}, ${bench.files} files`, bars: [under('peakBytes', PEAK_BYTES), ...BARS.get(step) ?? []],
    ours: runs.of(step), theirs: [], firstPush: runs.of(FIRST), indexBytes, isDetailed: true,
  }))
}

async function readEverything (reading: Reading): Promise<{ before: number, after: number }> {
  const { bench, side, tree, runs } = reading
  runs.add(FIRST, await pushTree(bench, side, tree, { sent: tree.files, deleted: 0 }))
  const before = side.indexBytes()
  const changed = tree.changeOnePercent()
  const planned = await side.command('client', ['plan', `${FOLDER}=${tree.root}`, '--json'])
  expectFields('plan', planned, { filesChanged: changed.length, filesNew: 0, filesDeleted: 0 })
  runs.add('plan', planned)
  runs.add(CHANGED, await pushTree(bench, side, tree, { sent: changed.length, deleted: 0 }))
  const after = side.indexBytes()
  await expectStored(bench, side, tree)
  await verify(reading)
  await history(reading, 'history of a path', `${FOLDER}/${changed[0] ?? ''}`)
  await history(reading, 'history of the folder', FOLDER)
  await restore(reading, 'server')
  await restore(reading, 'client')
  await safe(reading)
  return { before, after }
}

async function verify ({ side, tree, runs }: Reading): Promise<void> {
  const run = await side.command('server', ['verify', ID, '--json'])
  expectFields('verify', run, { files: tree.files, problems: [] })
  runs.add('verify', run)
}

async function history ({ side, runs }: Reading, step: string, path: string): Promise<void> {
  const run = await side.command('server', ['history', ID, path, '--json'])
  const { versions } = parse(run) as { versions?: readonly unknown[] }
  if (versions === undefined || versions.length === 0) throw new Error(`There is no earlier version of ${path}: ${run.stdout}`)
  runs.add(step, run)
}

async function restore ({ bench, side, tree, runs }: Reading, by: 'client' | 'server'): Promise<void> {
  bench.signal.throwIfAborted()
  const target = join(bench.home, 'restored')
  const run = await side.command(by, ['restore', ...by === 'server' ? [ID] : [], '--to', target, '--json'])
  expectFields('restore', run, { files: tree.files })
  await expectStored(bench, { destination: join(target, FOLDER) }, tree)
  rmSync(target, { recursive: true })
  runs.add(`restore by the ${by}`, run)
}

async function safe ({ side, tree, runs }: Reading): Promise<void> {
  const run = await side.command('client', ['safe', tree.root])
  const checked = Number(/^All (\d+) are safe/mu.exec(run.stdout)?.[1] ?? NaN)
  if (checked !== tree.files) throw new Error(`"safe" checked ${checked} files instead of ${tree.files}: ${run.stdout.slice(0, 500)}`)
  runs.add('safe', run)
}

/** Throws if the last line of a command's output has other values than these. */
function expectFields (what: string, run: CommandRun, expected: Readonly<Record<string, unknown>>): void {
  const found = parse(run)
  for (const [field, value] of Object.entries(expected)) {
    if (JSON.stringify(found[field]) === JSON.stringify(value)) continue
    throw new Error(`${what} reported ${JSON.stringify(found[field])} for "${field}" instead of ${JSON.stringify(value)}.`)
  }
}

/** The last line of the output; `verify` prints an array of one. */
function parse ({ stdout }: CommandRun): Record<string, unknown> {
  const value: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
  const one: unknown = Array.isArray(value) ? value[0] : value
  if (typeof one !== 'object' || one === null) throw new Error(`This is not an object: ${stdout.slice(0, 500)}`)
  return { ...one }
}
