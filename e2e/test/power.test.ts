import { expect, test } from 'vitest'
import { chaosPower } from '../src/chaos-power.ts'
import { DISK_KINDS, whyNoPowerCut } from '../src/power-disk.ts'

const SEED = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now() % 1_000_000)
const CUTS = 2
/** `pnpm chaos` cuts the power of all of them, and more often. */
const KINDS = DISK_KINDS.filter(({ name }) => name === 'ext4' || name === 'bindfs on ext4')

test.for(KINDS)(
  `what was said to be stored is there after the power was cut, on $name (seed ${SEED})`,
  { timeout: 240_000 },
  async (kind, { skip }) => {
    const why = whyNoPowerCut(kind)
    skip(why !== undefined, why)
    const { cuts } = await chaosPower({ seed: SEED, kind, cuts: CUTS, files: 100, limitMs: 120_000 })
    expect(cuts).toBeGreaterThan(0)
  }
)
