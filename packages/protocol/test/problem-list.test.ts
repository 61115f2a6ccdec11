import { expect, test } from 'vitest'
import { problem, ProblemList } from '../src/index.ts'

test('the first problems are kept, and all are counted', () => {
  const list = new ProblemList(2)
  for (const path of ['a', 'b', 'c', 'd']) list.add(problem(path, 'VANISHED'))
  expect([list.first.map(({ path }) => path), list.count]).toEqual([['a', 'b'], 4])
})
