import { LIMITS, PROBLEMS_KEPT, problem } from '@filesync/protocol'
import type { Problem } from '@filesync/protocol'
import { expect, test } from 'vitest'
import { nextSync } from '../src/session/next-sync.ts'

const some = (count: number, what: string, code: Problem['code']): Problem[] =>
  Array.from({ length: count }, (_, number) => problem(`${what}${number}`, code))
const STORED = { files: 0, bytes: 0, deleted: 0, renamed: 0 }
const NOTHING = { files: 0, bytes: 0, problems: [], problemCount: 0, refused: 0 }

test('lists each file once that arrived and was refused, and each that the client could not send', () => {
  const unsent = some(1, 'unsent', 'VANISHED')
  const refused = some(2, 'refused', 'DIGEST_MISMATCH')
  const outside = some(1, 'outside', 'SYMLINK_OUTSIDE')
  const received = { ...NOTHING, problems: [...unsent, ...refused], problemCount: 3, refused: 2 }
  const next = nextSync({ ...STORED, problems: [...outside, ...refused], problemCount: 3 }, received, 1000)
  expect(next).toMatchObject({ result: 'PROBLEMS', inMs: 1000, problemCount: 4 })
  expect(next.problems).toEqual([...unsent, ...refused, ...outside])
})

test('lists the first of very many problems, and counts each once', () => {
  const refused = some(5_000, 'refused', 'DIGEST_MISMATCH')
  const problems = [...some(900, 'outside', 'SYMLINK_OUTSIDE'), ...refused].slice(0, PROBLEMS_KEPT)
  const outcome = { ...STORED, problems, problemCount: 5_900 }
  const received = { ...NOTHING, problems: refused.slice(0, LIMITS.problemsPerMessage), problemCount: 5_003, refused: 5_000 }
  const next = nextSync(outcome, received, 1000)
  expect([next.problems.length, next.problemCount]).toEqual([LIMITS.problemsPerMessage, 5_903])
})

test('is OK if there are no problems', () => {
  const next = nextSync({ ...STORED, problems: [], problemCount: 0 }, NOTHING, 1000)
  expect(next).toMatchObject({ result: 'OK', problems: [], problemCount: 0 })
})
