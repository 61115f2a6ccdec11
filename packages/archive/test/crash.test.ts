import { afterAll, beforeAll, expect, test } from 'vitest'
import { CrashGround } from './support/crash-matrix.ts'
import type { Blow } from './support/crash-matrix.ts'
import { planBlows } from './support/crash-plan.ts'

const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
/** How many points; `pnpm chaos` tries hundreds. */
const blows = 6
let ground: CrashGround
beforeAll(async () => { ground = await CrashGround.open() }, 60_000)
afterAll(() => { ground.dispose() })

async function strikeAll (some: readonly Blow[]): Promise<void> {
  for (const blow of some) {
    const { faults } = await ground.strike(blow)
    expect(faults, `${JSON.stringify(blow)}, FILESYNC_SEED=${String(seed)}`).toEqual([])
  }
}

const plan = planBlows(blows, seed)

test('recovers after a kill between any two changes on the disk', { timeout: 120_000 }, async () => {
  await strikeAll(plan.filter(blow => !('failWith' in blow)))
})

test('ends with an archive error code if the disk fails at any change, and recovers when it works', { timeout: 120_000 }, async () => {
  // At the 30th change, a piece of the large file fails while later pieces are on their way.
  const errors = ['EIO', 'EMFILE', 'EDQUOT', 'ENOSPC']
  await strikeAll(errors.map((failWith, i) => ({
    work: 'sync',
    thread: 1,
    at: failWith === 'EIO' ? 30 : 1 + (seed + i * 23) % 70,
    failWith,
  })))
})
