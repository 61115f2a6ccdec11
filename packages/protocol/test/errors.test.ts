import { readFileSync } from 'node:fs'
import {
  asFileSyncError, encodeFrame, encodeMessage, errnoOf, ERRORS, FileSyncError, fitProblems, isErrorCode, isFileSyncError, isProblemCode,
  LIMITS, mergeProblems, problem, PROBLEMS,
} from '@filesync/protocol'
import { describe, expect, it } from 'vitest'

describe('errors', () => {
  it('keep their code, path and cause', () => {
    const cause = new Error('why')
    const error = new FileSyncError('ARCHIVE_FULL', 'No room.', { cause, path: 'a/b' })
    expect(error).toMatchObject({ name: 'FileSyncError', code: 'ARCHIVE_FULL', path: 'a/b', cause, message: 'No room.' })
    expect('cause' in new FileSyncError('ABORTED', 'x')).toBe(false)
  })

  it('are recognized from any copy of the package', () => {
    const foreign = Object.assign(new Error('x'), { name: 'FileSyncError', code: 'PEER_GONE' })
    expect(isFileSyncError(foreign)).toBe(true)
    for (const other of [
      new Error('x'), Object.assign(new Error('x'), { code: 'PEER_GONE' }),
      Object.assign(new Error('x'), { name: 'FileSyncError', code: 'EWHAT' }), null, 'PEER_GONE',
      { name: 'FileSyncError', code: 'PEER_GONE' },
    ]) {
      expect(isFileSyncError(other)).toBe(false)
    }
  })

  it('wrap only errors that are not a FileSyncError', () => {
    const ours = new FileSyncError('HALTED', 'x')
    expect(asFileSyncError(ours, 'PEER_GONE')).toBe(ours)
    const cause = new Error('disk')
    expect(asFileSyncError(cause, 'ARCHIVE_UNAVAILABLE')).toMatchObject({ code: 'ARCHIVE_UNAVAILABLE', message: 'disk', cause })
    expect(asFileSyncError('text').code).toBe('INTERNAL')
    expect(asFileSyncError(undefined).code).toBe('INTERNAL')
  })

  it('of the system have a code, and other values have none', () => {
    let thrown: unknown
    try {
      readFileSync(new URL('./no such file', import.meta.url))
    } catch (error) {
      thrown = error
    }
    expect(errnoOf(thrown)).toBe('ENOENT')
    for (const other of [new Error('ENOENT'), Object.assign(new Error('x'), { code: 2 }), { code: 'ENOENT' }, 'ENOENT', undefined]) {
      expect(errnoOf(other)).toBe('')
    }
  })

  it('have codes that are not properties of Object.prototype', () => {
    for (const code of ['constructor', '__proto__', 'toString', '']) {
      expect([isErrorCode(code), isProblemCode(code)]).toEqual([false, false])
    }
    expect([isErrorCode('PEER_GONE'), isProblemCode('VANISHED')]).toEqual([true, true])
  })

  it('do not disclose local matters on the wire', () => {
    const local = Object.entries(ERRORS).filter(([, kind]) => !kind.wire).map(([code]) => code)
    expect(local).toEqual(expect.arrayContaining([
      'IDENTITY_CHANGED', 'KEY_EXPOSED', 'STATE_INVALID', 'USAGE', 'ABORTED', 'PAIRING_UNPROVEN',
    ]))
  })

  it('exist for each code of the type', () => {
    const source = readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8')
    const [, union = ''] = /export type ErrorCode =(.*?)\n\n/su.exec(source) ?? []
    expect([...union.matchAll(/'(\w+)'/gu)].map(([, code]) => code).sort()).toEqual(Object.keys(ERRORS).sort())
  })
})

describe('problems', () => {
  it('have the standard text, followed by the detail', () => {
    expect(problem('a', 'VANISHED')).toEqual({ path: 'a', code: 'VANISHED', message: PROBLEMS.VANISHED })
    expect(problem('a', 'STORE_FAILED', 'EIO').message).toBe(`${PROBLEMS.STORE_FAILED}: EIO`)
  })

  it('fit their message, whatever their number and length', () => {
    const long = problem('日'.repeat(5000), 'UNREADABLE', '本'.repeat(5000))
    const problems = fitProblems(new Array(LIMITS.problemsPerMessage * 3).fill(long))
    expect(problems).toHaveLength(LIMITS.problemsPerMessage)
    const stored = { files: 0, bytes: 0, deleted: 0, renamed: 0 }
    const message = encodeMessage({
      type: 'NEXT_SYNC', inMs: 0, result: 'PROBLEMS', stored, problems, problemCount: 450, message: '日'.repeat(LIMITS.textBytes),
    })
    expect(encodeFrame('MESSAGE', [message]).length).toBeLessThanOrEqual(LIMITS.messageFrameBytes)
    expect(fitProblems([problem('😀'.repeat(2000), 'VANISHED')])[0]?.path.isWellFormed()).toBe(true)
  })
})

it('both ends of a sync count the same problems, even if not all are sent', () => {
  const held = Array.from({ length: 400 }, (_, n) => problem(`held ${n}`, 'UNSETTLED'))
  const refused = [problem('refused', 'TOO_LARGE'), ...held.slice(140, 160)]
  const answered = { problems: fitProblems(refused), problemCount: refused.length }
  const atClient = mergeProblems({ problems: held, problemCount: 400 }, answered)
  expect(atClient).toEqual(mergeProblems({ problems: fitProblems(held), problemCount: 400 }, answered))
  expect(mergeProblems(
    { problems: held.slice(0, 2), problemCount: 2 }, { problems: [...held.slice(1, 2), problem('x', 'TOO_LARGE')], problemCount: 2 }
  ))
    .toEqual({ problemCount: 3, more: [problem('x', 'TOO_LARGE')] })
})
