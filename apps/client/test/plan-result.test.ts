import { expect, test } from 'vitest'
import { hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import type { PlanMessage, Problem } from '@filesync/protocol'
import { describePlan, planResult } from '../src/push/plan-result.ts'
import type { PlanResult } from '../src/push/plan-result.ts'

const NOTHING: PlanMessage = {
  type: 'PLAN', added: { files: 0, bytes: 0 }, changed: { files: 0, bytes: 0 }, deleted: { files: 0, bytes: 0 }, renamed: 0, problems: [],
  problemCount: 0,
}

function result (plan: Partial<PlanMessage>, problems: readonly Problem[] = []): PlanResult {
  const tree = {
    ...memoryTree({ a: 'one', b: 'three' }, hashBytes), complete: true, problems, problemCount: problems.length, isUnsettled: () => false,
  }
  return planResult({ tree, plan: { ...NOTHING, ...plan } })
}

const NOT_KEPT = 'Not kept: extended attributes, access control lists, owner and group, set-id and sticky bits, and the time of creation.'

test('lists what would be left out, which is no problem', () => {
  const tree = { ...memoryTree({}, hashBytes), complete: true, problems: [], problemCount: 0, isUnsettled: () => false }
  const first = [{ path: 'run/socket\u001b', code: 'SPECIAL_FILE' as const, message: 'it is a socket' }]
  const made = planResult({ tree: { ...tree, leftOut: { first, count: 5 } }, plan: NOTHING })
  expect(made).toMatchObject({ result: 'ok', problemCount: 0, leftOut: first, leftOutCount: 5 })
  const text = describePlan(made)
  expect(text).toMatch(/5 entries would be left out, which is no problem:\n {2}run\/socket.*: it is a socket\n {2}and 4 more\n/u)
  expect(text).not.toContain('\u001b')
})

test('shows only the kinds of changes that would be made', () => {
  expect(describePlan(result({ added: { files: 1, bytes: 5 }, renamed: 2, deleted: { files: 3, bytes: 1500 } }))).toBe([
    'A push of 2 files, 8 B would make at most these changes:',
    '  new          1 file, 5 B',
    '  renamed      2 files',
    '  to versions  3 files, 1.50 kB',
    NOT_KEPT,
  ].join('\n'))
  expect(describePlan(result({}))).toBe(`A push would change nothing: 2 files, 8 B.\n${NOT_KEPT}`)
})

test('counts the problems of both ends, and shows why the server would refuse the push', () => {
  const here: Problem = { path: 'pipe\u001b', code: 'NOT_A_FILE' as Problem['code'], message: 'it is a pipe' }
  const made = result({ problems: [{ ...here, path: 'there' }], problemCount: 7, obstacle: 'too much would vanish' }, [here])
  expect(made).toMatchObject({ result: 'stopped', problemCount: 8, message: 'too much would vanish' })
  const text = describePlan(made)
  expect(text).toContain('8 entries would not be stored:')
  expect(text).toContain('and 6 more')
  expect(text).toContain('The server would refuse the push: too much would vanish')
  expect(text).not.toContain('\u001b')
  expect(result({ problemCount: 1 }).result).toBe('problems')
})
