import { LIMITS, PROBLEMS_KEPT, problem } from '@filesync/protocol'
import type { Problem } from '@filesync/protocol'
import { expect, test } from 'vitest'
import { nextSync } from '../src/session/next-sync.ts'

const some = (count: number, what: string, code: Problem['code']): Problem[] => Array.from({ length: count }, (_, number) => problem(`${what}${number}`, code))
const STORED = { files: 0, bytes: 0, deleted: 0, renamed: 0 }
const NOTHING = { files: 0, bytes: 0, problems: [], problemCount: 0, refused: 0 }

test('what arrived and was refused is told once, and so is what the client could not send', () => {
  const unsent = some(1, 'unsent', 'VANISHED')
  const refused = some(2, 'refused', 'DIGEST_MISMATCH')
  const outside = some(1, 'outside', 'SYMLINK_OUTSIDE')
  const received = { ...NOTHING, problems: [...unsent, ...refused], problemCount: 3, refused: 2 }
  const next = nextSync({ ...STORED, problems: [...outside, ...refused], problemCount: 3 }, received, 1000)
  expect(next).toMatchObject({ result: 'PROBLEMS', inMs: 1000, problemCount: 4 })
  expect(next.problems).toEqual([...unsent, ...refused, ...outside])
})

test('of more than either side keeps, the first are told and all are counted once', () => {
  const refused = some(5_000, 'refused', 'DIGEST_MISMATCH')
  const outcome = { ...STORED, problems: [...some(900, 'outside', 'SYMLINK_OUTSIDE'), ...refused].slice(0, PROBLEMS_KEPT), problemCount: 5_900 }
  const received = { ...NOTHING, problems: refused.slice(0, LIMITS.problemsPerMessage), problemCount: 5_003, refused: 5_000 }
  const next = nextSync(outcome, received, 1000)
  expect([next.problems.length, next.problemCount]).toEqual([LIMITS.problemsPerMessage, 5_903])
})

test('nothing is wrong where nobody has a problem', () => {
  expect(nextSync({ ...STORED, problems: [], problemCount: 0 }, NOTHING, 1000)).toMatchObject({ result: 'OK', problems: [], problemCount: 0 })
})
