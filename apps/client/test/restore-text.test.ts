import { expect, test } from 'vitest'
import { describeRestore } from '../src/restore/restore-result.ts'
import type { RestoreResult } from '../src/restore/restore-result.ts'

const RESULT: RestoreResult = {
  result: 'ok', to: '/t', point: 'p1', at: '2026-01-01T00:00:00.000Z', files: 3, bytes: 9, filesPresent: 0, filesLinked: 0, filesTotal: 3,
  bytesTotal: 9, problems: [], problemCount: 0, doubts: [], doubtCount: 0,
}

test.each([[0, '9 B, to /t'], [1, '(1 of them was there already)'], [2, '(2 of them were there already)']])(
  'the result of a restore counts %i files that were there', (filesPresent, text) => {
    expect(describeRestore({ ...RESULT, filesPresent })).toContain(text)
  })

test('what was there and differs is listed with the option that replaces it', () => {
  const taken = { path: 'a/b', code: 'PATH_TAKEN', message: 'something else exists at this path and was kept' } as const
  const other = { path: 'a/c', code: 'WRITE_FAILED', message: 'it cannot be written' } as const
  expect(describeRestore({ ...RESULT, problems: [taken], problemCount: 1 })).toContain('add --overwrite')
  expect(describeRestore({ ...RESULT, problems: [other], problemCount: 1 })).not.toContain('--overwrite')
})
