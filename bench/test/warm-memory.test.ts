import { readdirSync, rmSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { bytesToWarm, warmMemory } from '../src/warm-memory.ts'
import { makeScratch } from './support/scratch.ts'

const GIB = 2 ** 30
const set = { bytes: 5_000_000, files: ['a', 'b'] }

test('removes the file that warms the memory', () => {
  const home = makeScratch()
  onTestFinished(() => { rmSync(home, { recursive: true }) })
  warmMemory({ home, scale: 0.001 }, set)
  expect(readdirSync(home)).toEqual([])
})

test('warms as much memory as the data set and the programs take, but at most half of the free memory', () => {
  expect(bytesToWarm(set, 1, 20 * GIB)).toBe(5_000_000 + 2 * 8192 + GIB / 2)
  expect(bytesToWarm(set, 0.5, 20 * GIB)).toBe(5_000_000 + 2 * 8192 + GIB / 4)
  expect(bytesToWarm(set, 1, GIB / 4)).toBe(GIB / 8)
})
