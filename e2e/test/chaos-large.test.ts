import { expect, test } from 'vitest'
import { chaosLarge } from '../src/chaos-large.ts'

const SEED = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now() % 1_000_000)
/** What is under way between two processes is a few MiB whatever the size, so a smaller file could not keep to its share. */
const SIZE_BYTES = 192 << 20

test(
  `a large file arrives although ten processes are killed, at less than 3 % of it sent again for each (seed ${SEED})`,
  { timeout: 120_000 },
  async () => {
    const report = await chaosLarge({ seed: SEED, kills: 10, sizeBytes: SIZE_BYTES, killsPerTransfer: 10, limit: '40M' })
    expect(report.clientKills + report.serverKills).toBe(10)
    expect(report.worstExtraBytesPerKill).toBeLessThan(0.03 * SIZE_BYTES)
  }
)
