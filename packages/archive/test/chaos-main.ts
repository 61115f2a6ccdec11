import { CrashGround } from './crash-matrix.ts'
import { planBlows } from './crash-plan.ts'

/** Kills a process that works on an archive at FILESYNC_KILLS points, and looks after each whether everything is right. */
const count = Number(process.env['FILESYNC_KILLS'] ?? 300)
const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
process.stdout.write(`archive chaos: ${String(count)} points, seed ${String(seed)}\n`)
const ground = await CrashGround.open()
let tooLate = 0
try {
  for (const [i, blow] of planBlows(count, seed).entries()) {
    const { faults, finished } = await ground.strike(blow)
    if (faults.length > 0) throw new Error(`${JSON.stringify(blow)} with seed ${String(seed)}:\n${faults.join('\n')}`)
    if (finished) tooLate++
    if ((i + 1) % 20 === 0) process.stdout.write(`archive chaos: ${String(i + 1)} of ${String(count)}, ${String(tooLate)} too late or without effect\n`)
  }
} finally {
  ground.dispose()
}
