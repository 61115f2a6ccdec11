import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import type { InnerRun, OurSide, RunningClient } from '../our-side.ts'
import { withSide } from '../pairs.ts'
import { cpuMs } from '../process-meter.ts'
import type { Consumption } from '../process-meter.ts'
import { formatBytes } from '../report.ts'
import { under } from '../row.ts'
import type { Row, Timed } from '../row.ts'
import { LargeTree } from './large-tree.ts'
import { expectStored, openSide } from './pushes.ts'
import type { TreeShape } from './tree-shape.ts'

const CHANGES_IN_ROUND = 5
/** These compile code that the first change did not, which a client that runs for days does once. */
const WARM_UP_CHANGES = 2
/** Shorter than the default: both programs only wait meanwhile, and what they cost at rest counts too. */
const SETTLE_MS = 200
const IDLE_MS = 2000
/** The longest interval that a server accepts: no push but those for changes. */
const INTERVAL_SECONDS = 86_400
const BYTES = [under('wireBytes', 100_000), under('serverWrittenBytes', 1_000_000)]
const BARS = [under('clientCpuMs', 20), ...BYTES]
/** In a tree of a hundred files it takes 30 to 40 ms, most of them to compile code. */
const FIRST_BARS = [under('clientCpuMs', 100), ...BYTES]

interface Watched {
  readonly side: OurSide
  readonly client: RunningClient
  readonly tree: LargeTree
}

/** Processor time of both programs. */
interface Cpu {
  readonly clientMs: number
  readonly serverMs: number
}

/**
 * A client watches a tree, and one file at a time changes. Each round is a run. Its figures are those of one change, the mean of
 * several, because the kernel counts processor time in steps of 10 ms.
 */
export async function changeCost (bench: Bench, shape: TreeShape, files: number): Promise<Row[]> {
  const tree = await LargeTree.make(bench, shape, files)
  bench.log(`made ${tree.files} files in ${tree.directories} directories`)
  expectWatchable(tree)
  const { first, rounds } = await withSide(await openSide(bench, INTERVAL_SECONDS), async side => {
    const client = side.startClient(tree.root, ['--settle', `${SETTLE_MS}ms`])
    try {
      return await measureRounds(bench, { side, client, tree })
    } finally {
      await client.stop()
    }
  })
  tree.remove()
  const where = `${tree.files} files in ${tree.directories} directories watched`
  const shared = { case: 'change-cost', theirs: [], isDetailed: true, note: NOTE }
  return [
    { ...shared, work: `first change after the start, ${where}`, bars: FIRST_BARS, ours: [first] },
    { ...shared, work: `one file changed, ${where}`, bars: BARS, ours: rounds },
  ]
}

const NOTE = `per change; the time includes the ${SETTLE_MS} ms until a file is settled`

interface Measured {
  readonly first: Timed
  readonly rounds: readonly Timed[]
}

async function measureRounds (bench: Bench, watched: Watched): Promise<Measured> {
  const { side, client, tree } = watched
  const push = await nextRun(client)
  if (push.filesSent !== tree.files) throw new Error(`The first push sent ${push.filesSent} files instead of ${tree.files}.`)
  await expectStored(bench, side, tree)
  await untilQuiet(bench, watched)
  const first = await measureChanges(bench, watched, 1)
  logChange(bench, 'first change', first)
  for (let change = 0; change < WARM_UP_CHANGES; change++) await changeAndStore(bench, watched)
  await untilQuiet(bench, watched)
  const idle = await cpuDuring(bench, watched, IDLE_MS)
  bench.log(`at rest for ${IDLE_MS} ms: CPU ${idle.clientMs} ms + ${idle.serverMs} ms`)
  const rounds: Timed[] = []
  for (let round = 0; round < bench.pairs; round++) {
    const run = await measureChanges(bench, watched, CHANGES_IN_ROUND)
    rounds.push(run)
    logChange(bench, `round ${rounds.length} of ${bench.pairs}`, run)
  }
  await expectStored(bench, side, tree)
  return { first, rounds }
}

function logChange (bench: Bench, what: string, run: ChangeFigures): void {
  bench.log(`${what}: ${Math.round(run.durationMs)} ms, CPU ${run.clientCpuMs.toFixed(1)} ms + ${run.serverCpuMs.toFixed(1)} ms, ` +
    `${formatBytes(run.sentBytes)} sent, ${formatBytes(run.serverWrittenBytes)} written by the server`)
}

/** The figures of one change: the mean of several, one after the other. */
interface ChangeFigures extends Consumption {
  readonly durationMs: number
  readonly toldBytes: number
  readonly sentBytes: number
}

async function measureChanges (bench: Bench, watched: Watched, count: number): Promise<ChangeFigures> {
  const { side, client } = watched
  const meter = side.openMeter()
  meter.watchRunning(client.pid)
  try {
    const changes: Changed[] = []
    for (let change = 0; change < count; change++) changes.push(await changeAndStore(bench, watched))
    // What they do after the end of a push belongs to it.
    await untilQuiet(bench, watched)
    return perChange(await meter.finish(), changes)
  } finally {
    meter.stop()
  }
}

function perChange (used: Consumption, changes: readonly Changed[]): ChangeFigures {
  const mean = (total: number): number => total / changes.length
  const sum = (figure: keyof Changed): number => changes.reduce((total, change) => total + change[figure], 0)
  return {
    ...used,
    durationMs: mean(sum('durationMs')),
    clientCpuMs: mean(used.clientCpuMs),
    serverCpuMs: mean(used.serverCpuMs),
    wireBytes: mean(used.wireBytes),
    toldBytes: mean(sum('toldBytes')),
    sentBytes: mean(sum('sentBytes')),
    serverWrittenBytes: mean(used.serverWrittenBytes),
    // What it sent on the connection was passed to write calls too.
    clientWrittenBytes: mean((used.clientWrittenBytes ?? NaN) - sum('sentBytes')),
  }
}

type Changed = Pick<InnerRun, 'durationMs' | 'sentBytes' | 'toldBytes'>

/** Changes a file, and waits until the client reports that it is stored. The time is from the change to the report. */
async function changeAndStore (bench: Bench, { side, client, tree }: Watched): Promise<Changed> {
  bench.signal.throwIfAborted()
  const startedMs = performance.now()
  const path = tree.changeOne()
  const { filesSent, sentBytes, toldBytes } = await nextRun(client)
  const durationMs = performance.now() - startedMs
  if (filesSent !== 1) throw new Error(`${filesSent} files were sent although one had changed.`)
  if (!readFileSync(join(side.destination, path)).equals(readFileSync(join(tree.root, path)))) {
    throw new Error(`The client reported that ${path} is stored, but the destination has other content.`)
  }
  return { durationMs, sentBytes, toldBytes }
}

async function nextRun ({ runs }: RunningClient): Promise<InnerRun> {
  const next = await runs.next()
  if (next.done === true) throw new Error('The client ended.')
  return next.value
}

async function cpuDuring ({ signal }: Bench, { side, client }: Watched, durationMs: number): Promise<Cpu> {
  const now = (): Cpu => ({ clientMs: cpuMs(client.pid).ownMs, serverMs: side.serverCpuMs() })
  const before = now()
  await sleep(durationMs, undefined, { signal })
  const after = now()
  return { clientMs: after.clientMs - before.clientMs, serverMs: after.serverMs - before.serverMs }
}

const QUIET_EVERY_MS = 250
/** Of the time: garbage collection and the like go on for a moment after a push. */
const QUIET_SHARE = 0.1
const QUIET_TRIES = 240

/** Waits until both programs do nothing but wait. Throws if they are still busy after a minute. */
async function untilQuiet (bench: Bench, watched: Watched): Promise<void> {
  for (let tries = 0; tries < QUIET_TRIES; tries++) {
    const { clientMs, serverMs } = await cpuDuring(bench, watched, QUIET_EVERY_MS)
    if (Math.max(clientMs, serverMs) <= QUIET_EVERY_MS * QUIET_SHARE) return
  }
  throw new Error('The client or the server is still busy a minute after the last push.')
}

// Without enough watches the client walks the whole tree now and then, which this case does not measure.
function expectWatchable ({ directories }: LargeTree): void {
  const most = Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'latin1'))
  if (directories < most) return
  throw new Error(`The kernel lets a user watch ${most} directories, and there are ${directories}. Allow more: ` +
    `sysctl fs.inotify.max_user_watches=${2 * directories}`)
}
