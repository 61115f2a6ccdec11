import { playHistory } from './support/history-play.ts'

/** Plays random histories of an archive until FILESYNC_STATES moments of them have been restored and compared. */
const wanted = Number(process.env['FILESYNC_STATES'] ?? 10_000)
const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
const ROUNDS = 15
const startedMs = performance.now()
process.stdout.write(`history chaos: ${String(wanted)} states, seed ${String(seed)}\n`)
let [states, during, told] = [0, 0, 0]
for (let run = 0; states < wanted; run++) {
  const report = await playHistory(seed + run, ROUNDS)
  if (report.faults.length > 0) {
    throw new Error(`A restore was neither exact nor reported, with FILESYNC_SEED=${String(seed + run)}:\n${report.faults.join('\n')}`)
  }
  states += report.states
  during += report.during
  if (states - told >= 1000) {
    told = states
    process.stdout.write(`history chaos: ${String(states)} of ${String(wanted)}\n`)
  }
}
const seconds = Math.round((performance.now() - startedMs) / 1000)
process.stdout.write(`history chaos: ${String(states)} states, ${String(during)} of them during syncs, ` +
  `were restored exactly or reported, in ${String(seconds)} s\n`)
