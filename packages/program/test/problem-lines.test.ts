import { expect, test } from 'vitest'
import { problemLines } from '../src/index.ts'

function problems (count: number): { path: string, message: string }[] {
  return Array.from({ length: count }, (_, i) => ({ path: `f${i}`, message: 'it vanished' }))
}

test('lists the first problems and counts the others, including those not passed in', () => {
  expect(problemLines({ problems: [], problemCount: 0 })).toEqual([])
  expect(problemLines({ problems: problems(2), problemCount: 2 })).toEqual(['  f0: it vanished', '  f1: it vanished'])
  expect(problemLines({ problems: problems(20), problemCount: 20 })).toHaveLength(20)
  const lines = problemLines({ problems: problems(21), problemCount: 1000 })
  expect(lines).toHaveLength(21)
  expect(lines.at(-1)).toBe('  and 980 more')
})

test('escapes paths and messages that the terminal would obey', () => {
  const [line] = problemLines({ problems: [{ path: 'a\u001b[2J', message: 'b\nc' }], problemCount: 1 })
  expect(line).not.toContain('\u001b')
  expect(line).not.toContain('\n')
})
