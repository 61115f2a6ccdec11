import { expect, it } from 'vitest'
import { fuzz } from './fuzz/fuzz.ts'
import { describeLargeTree } from './fuzz/large-tree.ts'

// `pnpm fuzz` at the root does the same with a million inputs and a million files.
it('mutated inputs cause only FileSyncErrors', async () => {
  const seed = Math.trunc(Math.random() * 2 ** 32)
  const report = await fuzz({ seed, inputs: 30_000 })
  expect(report.inputs, `seed ${String(seed)}`).toBe(30_000)
  expect(report.grownBytes, `seed ${String(seed)}`).toBeLessThan(400 << 20)
  // Mutations that are all refused at the first byte, or all taken, would test little.
  expect([...report.outcomes.keys()].length).toBeGreaterThan(20)
}, 30_000)

it('a tree of 100,000 files is described without keeping it in memory', async () => {
  const report = await describeLargeTree({ directories: 100, filesEach: 1000 })
  expect(report).toMatchObject({ files: 100_000, listings: 101 })
  expect(report.grownBytes).toBeLessThan(100 << 20)
}, 30_000)
