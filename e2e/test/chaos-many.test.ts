import { expect, test } from 'vitest'
import { chaosOfMany } from '../src/chaos-many.ts'
import { whyNoMachines } from '../src/network-wire.ts'

const SEED = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now() % 1_000_000)

test.skipIf(whyNoMachines() !== undefined)(
  `clients that push at the same time while they and the server are killed lose nothing (seed ${SEED})`,
  { timeout: 240_000 },
  async () => {
    const report = await chaosOfMany({ seed: SEED, clients: 4, atOnce: 4, seconds: 6, files: 12 })
    expect(report.syncs).toBeGreaterThanOrEqual(4)
  }
)
