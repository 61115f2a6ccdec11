import { expect, test } from 'vitest'
import { problem, ProblemList } from '../src/index.ts'

test('keeps the first problems and counts all', () => {
  const list = new ProblemList(2)
  for (const path of ['a', 'b', 'c', 'd']) list.add(problem(path, 'VANISHED'))
  expect([list.first.map(({ path }) => path), list.count]).toEqual([['a', 'b'], 4])
})
