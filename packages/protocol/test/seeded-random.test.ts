import { randomBytes, seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'

test('produces the outputs of the reference implementation', () => {
  const random = seededRandom(1)
  expect(Array.from({ length: 3 }, () => random())).toEqual([0.6270739405881613, 0.002735721180215478, 0.5274470399599522])
})

test('depends only on the seed, and draws numbers, integers and choices from one sequence', () => {
  const [random, same] = [seededRandom(7), seededRandom(7)]
  const draws = [random(), random.below(100), random.pick('abcdef'.split(''))]
  expect(draws).toEqual([same(), Math.floor(same() * 2 ** 32) % 100, 'abcdef'[Math.floor(same() * 2 ** 32) % 6]])
  expect(seededRandom(8)()).not.toBe(draws[0])
})

test('throws if there is nothing to pick from', () => {
  expect(() => seededRandom(1).pick([])).toThrow(RangeError)
})

test('makes bytes of any length, with shorter ones as a prefix', () => {
  expect(randomBytes(10, 3)).toEqual(randomBytes(1000, 3).subarray(0, 10))
  expect(randomBytes(0, 3)).toHaveLength(0)
  expect(new Set(randomBytes(100_000, 3)).size).toBe(256)
})
