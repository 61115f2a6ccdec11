import { CrashGround } from './support/crash-matrix.ts'
import { planBlows } from './support/crash-plan.ts'

/** Kills a process that works on an archive at FILESYNC_KILLS points, and checks the archive after each. */
const count = Number(process.env['FILESYNC_KILLS'] ?? 300)
const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
/** How many blows run at the same time; each takes two processes, one after the other. */
const lanes = Number(process.env['FILESYNC_LANES'] ?? 2)
const startedMs = performance.now()
const ground = await CrashGround.open()
const blows = planBlows(count, seed).entries()
const steps = new Map<string, number>()
let [done, tooLate] = [0, 0]

async function strikeOnAndOn (): Promise<void> {
  for (const [, blow] of blows) {
    const { faults, finished, step } = await ground.strike(blow)
    if (faults.length > 0) throw new Error(`${JSON.stringify(blow)} with seed ${String(seed)}:\n${faults.join('\n')}`)
    if (finished) tooLate++
    if (step !== undefined) steps.set(step, (steps.get(step) ?? 0) + 1)
    if (++done % 50 === 0) process.stdout.write(`archive chaos: ${String(done)} of ${String(count)}\n`)
  }
}

process.stdout.write(`archive chaos: ${String(count)} points, seed ${String(seed)}\n`)
try {
  await Promise.all(Array.from({ length: lanes }, strikeOnAndOn))
} finally {
  ground.dispose()
}
for (const [step, times] of [...steps].sort()) process.stdout.write(`  ${String(times).padStart(4)} killed in ${step}\n`)
const seconds = Math.round((performance.now() - startedMs) / 1000)
process.stdout.write(`archive chaos: ${String(count)} points in ${String(seconds)} s, ` +
  `${String(tooLate)} of them too late or without effect; nothing was lost or mixed\n`)
