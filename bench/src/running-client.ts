import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { DataSet } from './data-set.ts'
import { OurSide } from './our-side.ts'
import type { InnerRun } from './our-side.ts'
import { measure, openTheirs, verify, withSide } from './pairs.ts'
import type { Run } from './side.ts'
import type { Timed } from './row.ts'

/** Long enough for a run of rsync between two of our runs. */
const QUIET_SECONDS = 5
const WAKE_UPS = 12

/**
 * A client that keeps running, walks the whole tree whenever the server asks, and finds nothing changed; in turn with runs of
 * rsync. Our time is what the client reports for each run: from wake-up until NEXT_SYNC has arrived and the connection is closed.
 */
export async function runningPairs (bench: Bench, set: DataSet): Promise<{ ours: Timed[], theirs: Run[] }> {
  const ours: Timed[] = []
  const theirs: Run[] = []
  await withSide(await openRunning(bench, QUIET_SECONDS), async side => await withSide(await openTheirs(bench), async peer => {
    await measure(bench, peer, set)
    for await (const run of runsAfterFirst(bench, { side, set, flags: ['--no-watch'] })) {
      ours.push(run)
      theirs.push(await measure(bench, peer, set))
      const theirMs = Math.round(theirs.at(-1)?.durationMs ?? NaN)
      bench.log(`inside a running client, pair ${ours.length} of ${bench.pairs}: ours ${run.durationMs} ms, theirs ${theirMs} ms`)
      if (ours.length === bench.pairs) return
    }
  }))
  return { ours, theirs }
}

/** A client that watches the tree, runs every second at the server's interval, and knows that nothing has changed. */
export async function watchingRuns (bench: Bench, set: DataSet): Promise<Timed[]> {
  const runs: Timed[] = []
  await withSide(await openRunning(bench, 1), async side => {
    for await (const run of runsAfterFirst(bench, { side, set, flags: [] })) {
      runs.push(run)
      if (runs.length === WAKE_UPS) return
    }
  })
  bench.log(`${set.files.length} files watched: ${runs.map(({ durationMs }) => durationMs).join(', ')} ms`)
  return runs
}

async function openRunning ({ home, children }: Bench, intervalSeconds: number): Promise<OurSide> {
  return await OurSide.open(mkdtempSync(join(home, 'o-')), children, intervalSeconds)
}

async function * runsAfterFirst (
  bench: Bench, { side, set, flags }: { side: OurSide, set: DataSet, flags: readonly string[] },
): AsyncGenerator<Timed, void, undefined> {
  let number = 0
  let cpuMs = 0
  for await (const run of side.keepRunning(set.root, flags)) {
    bench.signal.throwIfAborted()
    const nowCpuMs = side.serverCpuMs()
    if (number === 0) {
      await verify(bench, side, set)
    } else {
      expectNothingSent(run)
      // The second run may still include the start of the watch.
      if (number > 1) yield { durationMs: run.durationMs, toldBytes: run.toldBytes, serverCpuMs: nowCpuMs - cpuMs }
    }
    cpuMs = nowCpuMs
    number++
  }
}

function expectNothingSent ({ filesSent }: InnerRun): void {
  if (filesSent !== 0) throw new Error(`${filesSent} files were sent although nothing had changed.`)
}
