import { expect, test } from 'vitest'
import { killAndRecover, preparedArchive } from './crash-matrix.ts'

/** How many kills; more with FILESYNC_KILLS. They are spread over all changes that the workers make. */
const kills = Number(process.env.FILESYNC_KILLS ?? 5)
const lastCall = 110

test('goes on after a kill between any two changes on the disk', { timeout: 60_000 + kills * 30_000 }, async () => {
  const prepared = await preparedArchive()
  for (let i = 0; i < kills; i++) {
    const at = 3 + Math.floor(i * lastCall / kills)
    const { faults } = await killAndRecover(prepared, at)
    expect(faults, `killed at change ${String(at)}`).toEqual([])
  }
})
