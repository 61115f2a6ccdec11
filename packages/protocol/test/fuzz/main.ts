/**
 * `pnpm fuzz [--seed N] [--inputs N] [--minutes N]`: mutated inputs for every decoder of the protocol, and the exchange of
 * a tree of a million files. Exits with 1 where anything but a FileSyncError comes out, something hangs, or memory grows.
 */
import { randomInt } from 'node:crypto'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'
import { describeLargeTree } from './large-tree.ts'

const GROWN_BYTES_MAX = 400 << 20
/** Without progress for so long, an input hangs. */
const HANG_MS = 30_000

if (isMainThread) {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, inputs: { type: 'string' }, minutes: { type: 'string' } } })
  const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed)
  console.log(`seed ${String(seed)}`)
  const init = { seed, inputs: Number(values.inputs ?? 1_200_000), deadlineMs: Date.now() + Number(values.minutes ?? 10) * 60_000 }
  const worker = new Worker(new URL(import.meta.url), { workerData: init })
  let done = 0
  const hangs = (): void => {
    console.error(`Hangs on an input after number ${String(done)} of seed ${String(seed)}.`)
    process.exit(1)
  }
  let watchdog = setTimeout(hangs, HANG_MS)
  worker.on('message', (progress: number) => {
    done = progress
    clearTimeout(watchdog)
    watchdog = setTimeout(hangs, HANG_MS)
  })
  worker.on('error', error => {
    console.error(error)
    process.exit(1)
  })
  worker.on('exit', code => {
    clearTimeout(watchdog)
    process.exitCode = code
  })
} else {
  const { seed, inputs, deadlineMs } = workerData as { seed: number, inputs: number, deadlineMs: number }
  const report = await fuzz({
    seed, inputs, onProgress: done => { parentPort?.postMessage(done) }, isTimeUp: () => Date.now() > deadlineMs,
  })
  for (const [outcome, count] of [...report.outcomes].sort()) console.log(`${outcome.padEnd(40)} ${String(count).padStart(9)}`)
  const grownMib = String(report.grownBytes >> 20)
  console.log(`${String(report.inputs)} inputs, the slowest took ${report.slowestMs.toFixed(1)} ms, memory grew by ${grownMib} MiB`)
  if (report.grownBytes > GROWN_BYTES_MAX) throw new Error('Memory grew too much.')
  if (report.inputs < inputs) throw new Error('Time was up before all inputs were taken.')
  parentPort?.postMessage(report.inputs)

  const tree = await describeLargeTree({ directories: 1_000, filesEach: 1_000 })
  const [mib, grown] = [String(tree.bytes >> 20), String(tree.grownBytes >> 20)]
  console.log(`${String(tree.files)} files described in ${String(tree.listings)} listings of ${mib} MiB, memory grew by ${grown} MiB`)
  if (tree.files !== 1_000_000 || tree.grownBytes > 150 << 20) throw new Error('The tree was not described as it should be.')
}
