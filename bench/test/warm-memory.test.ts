import { readdirSync, rmSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { bytesToWarm, warmMemory } from '../src/warm-memory.ts'
import { makeScratch } from './scratch.ts'

const GIB = 2 ** 30
const set = { bytes: 5_000_000, files: ['a', 'b'] }

test('nothing is left of what warms the memory', () => {
  const home = makeScratch()
  onTestFinished(() => { rmSync(home, { recursive: true }) })
  warmMemory({ home, scale: 0.001 }, set)
  expect(readdirSync(home)).toEqual([])
})

test('it is as much as the data set and the programs take, and never more than half of what is free', () => {
  expect(bytesToWarm(set, 1, 20 * GIB)).toBe(5_000_000 + 2 * 8192 + GIB / 2)
  expect(bytesToWarm(set, 0.5, 20 * GIB)).toBe(5_000_000 + 2 * 8192 + GIB / 4)
  expect(bytesToWarm(set, 1, GIB / 4)).toBe(GIB / 8)
})
