import { describe, expect, test } from 'vitest'
import { FileSyncError, problem } from '@filesync/protocol'
import type { NextSync, Problem } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import { describeResult, exitCodeOf, failedResult, pushResult, withAdvice } from '../src/push/push-result.ts'
import type { Pushed } from '../src/push/push-session.ts'

const COST = { bytesSent: 900, bytesReceived: 80, durationMs: 1234 }
const AT = '2026-01-02T03:04:05.678Z'
const unreadable = (path: string): Problem => problem(path, 'UNREADABLE')
const unsettled = (path: string): Problem => problem(path, 'UNSETTLED')

function pushed (next: Partial<NextSync> = {}, problems: readonly Problem[] = []): Pushed {
  const tree = {
    ...memoryTree({ a: 'one', b: 'two' }, hashBytes), complete: true, problems, problemCount: problems.length, isUnsettled: () => false,
  }
  const stored = { files: 2, bytes: 6, deleted: 1, renamed: 3 }
  return { tree, next: { type: 'NEXT_SYNC', inMs: 1000, result: 'OK', stored, problems: [], problemCount: 0, ...next }, stale: new Set() }
}

describe('the last line of push --json', () => {
  test('has the documented fields in the documented order', () => {
    expect(JSON.stringify(pushResult(pushed(), COST, AT))).toBe('{"result":"ok",' +
      '"filesSent":2,"filesDeleted":1,"filesRenamed":3,"filesTotal":2,"bytesTotal":6,' +
      `"bytesSent":900,"bytesReceived":80,"durationMs":1234,"nextSyncAt":"${AT}","problems":[],"problemCount":0,"leftOutCount":0}`)
  })

  test('has the same fields and the reason after an error', () => {
    const failed = failedResult(new FileSyncError('SERVER_NOT_FOUND', 'No server answered.'), COST)
    expect(failed).toEqual({
      result: 'failed', filesSent: 0, filesDeleted: 0, filesRenamed: 0, filesTotal: 0, bytesTotal: 0, ...COST, nextSyncAt: null,
      problems: [], problemCount: 0, leftOutCount: 0,
      code: 'SERVER_NOT_FOUND', message: 'No server answered.',
    })
    expect(Object.keys(failed).slice(0, 13)).toEqual(Object.keys(pushResult(pushed(), COST, AT)))
    expect(failedResult(new FileSyncError('HALTED', 'The brake.'), COST).result).toBe('halted')
  })

  test('reports problems if the server says that not everything is stored, even if it names none', () => {
    expect(pushResult(pushed({ result: 'PROBLEMS' }), COST, AT).result).toBe('problems')
  })

  test('counts what is left out, which is no problem', () => {
    const { tree, ...rest } = pushed()
    const result = pushResult({ ...rest, tree: { ...tree, leftOut: { first: [], count: 7 } } }, COST, AT)
    expect(result).toMatchObject({ result: 'ok', problemCount: 0, leftOutCount: 7 })
    expect(exitCodeOf(result)).toBe(0)
    expect(describeResult(result)).toMatch(/^Everything is stored: .*, 7 left out;/u)
    expect(describeResult(pushResult(pushed(), COST, AT))).not.toContain('left out')
  })

  test('has a path, a code and a message for each problem', () => {
    const { result, problems } = pushResult(pushed({}, [unreadable('a')]), COST, AT)
    expect(result).toBe('problems')
    expect(problems).toEqual([{ path: 'a', code: 'UNREADABLE', message: expect.stringMatching(/./u) as unknown }])
  })
})

describe('problems', () => {
  test('a problem that both ends report counts once', () => {
    const result = pushResult(
      pushed({ result: 'PROBLEMS', problems: [unsettled('a'), unreadable('b')], problemCount: 2 }, [unsettled('a')]), COST, AT
    )
    expect(result.problems.map(({ path }) => path)).toEqual(['a', 'b'])
    expect(result.problemCount).toBe(2)
  })

  test('problems that the server counts without naming them still count', () => {
    const result = pushResult(pushed({ result: 'PROBLEMS', problems: [unreadable('b')], problemCount: 1000 }), COST, AT)
    expect([result.problems.length, result.problemCount, result.result]).toEqual([1, 1000, 'problems'])
  })
})

test('the exit code follows from the result', () => {
  const stored = pushResult(pushed(), COST, AT)
  const halted = pushResult(pushed({ result: 'HALTED', message: 'Too much would go.' }), COST, AT)
  expect(exitCodeOf(stored)).toBe(0)
  expect(exitCodeOf({ ...stored, result: 'problems' })).toBe(5)
  expect(exitCodeOf(halted)).toBe(6)
  expect([halted.code, halted.message]).toEqual(['HALTED', 'Too much would go.'])
})

describe('the result as text', () => {
  test('is one line for a complete run', () => {
    expect(describeResult(pushResult(pushed(), COST, AT))).toBe(
      'Everything is stored: 2 files, 6 B (2 sent, 3 renamed, 1 moved to versions; 900 B over the network in 1.2 s).'
    )
  })

  test('lists up to twenty problems, counts the rest, and escapes control characters in names', () => {
    const many = Array.from({ length: 30 }, (_, n) => unreadable(`dir/\u001b[31m${n}`))
    const lines = describeResult(pushResult(pushed({}, many), COST, AT)).split('\n')
    expect(lines[0]).toBe('30 entries were not stored:')
    expect(lines[1]).toContain('dir/\\u{1b}[31m0: ')
    expect(lines).toHaveLength(23)
    expect(lines[21]).toBe('  and 10 more')
    expect(lines[22]).toMatch(/^Finished with problems/u)
  })

  test('begins with the reason of a halt', () => {
    const halted = pushResult(pushed({ result: 'HALTED', message: 'Too much\u0007 would go.' }), COST, AT)
    expect(describeResult(halted)).toMatch(/^Too much\\u\{7\} would go\.\nHalted: /u)
  })
})

test.each(['PEER_GONE', 'PEER_TIMEOUT'] as const)('adds what to do to a push that ended with %s, and keeps the code', code => {
  const error = withAdvice(new FileSyncError(code, 'The connection was lost.'))
  expect([error.code, error.message]).toEqual([
    code, 'The connection was lost. The server keeps what has arrived: push again to continue from there.',
  ])
})

test('does not change an error that says what to do', () => {
  const error = new FileSyncError('NOT_PAIRED', 'Pair first.')
  expect(withAdvice(error)).toBe(error)
})
