import { expect, test } from 'vitest'
import { chaosRestore } from '../src/chaos-restore.ts'

const SEED = Number(process.env['FILESYNC_CHAOS_SEED'] ?? Date.now() % 1_000_000)
const CUTS = Number(process.env['FILESYNC_CHAOS_RESTORE_CUTS'] ?? 4)

test(`a restore that is cut anywhere continues, and brings everything back as it was (seed ${SEED})`, async () => {
  const report = await chaosRestore({ seed: SEED, cuts: CUTS })
  expect(report.cuts).toBe(CUTS)
  // What was under way when it was cut, the listings, and the handshake come again, but no whole file does.
  expect(report.extraBytesPerCut).toBeLessThan(report.wholeBytes / 4)
}, 240_000)
