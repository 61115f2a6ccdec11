import { expect, test } from 'vitest'
import { chaosOfSource } from '../src/chaos-source.ts'

const SEED = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now() % 1_000_000)

test(`files and directories that are exchanged under way are stored as what they are (seed ${SEED})`, { timeout: 240_000 }, async () => {
  const report = await chaosOfSource({ seed: SEED, rounds: 4, changes: 150 })
  expect(report.stored + report.named).toBe(4)
  expect(report.changes).toBeGreaterThan(200)
})
