import { expect, test } from 'vitest'
import { chaos } from '../src/chaos.ts'

const SEED = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now() % 1_000_000)

test(`processes that are killed leave whole files, and the next push converges (seed ${SEED})`, { timeout: 240_000 }, async () => {
  const report = await chaos({ seed: SEED, kills: 4, files: 150 })
  expect(report.syncs).toBeGreaterThan(0)
})
