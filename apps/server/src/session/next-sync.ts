import type { StoredSoFar, SyncOutcome } from '@filesync/archive'
import { fitProblems } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import type { ReceivedFiles } from '@filesync/transfer'

/** What a client is told of a session that came to its end. */
export function nextSync (outcome: SyncOutcome, received: ReceivedFiles, inMs: number): NextSync {
  // What arrived and was refused stands in both accounts; of both, only the first are told one by one.
  const told = new Set(received.problems.map(({ path, code }) => `${code} ${path}`))
  const more = outcome.problems.filter(({ path, code }) => !told.has(`${code} ${path}`))
  const problemCount = received.problemCount - received.refused + outcome.problemCount
  const { files, bytes, deleted, renamed } = outcome
  return {
    type: 'NEXT_SYNC',
    inMs,
    result: problemCount > 0 ? 'PROBLEMS' : 'OK',
    stored: { files, bytes, deleted, renamed },
    problems: fitProblems([...received.problems, ...more]),
    problemCount,
  }
}

/** The same where the brake holds; what it did not hold back is stored. */
export function haltedSync (message: string, stored: StoredSoFar, inMs: number): NextSync {
  return { type: 'NEXT_SYNC', inMs, result: 'HALTED', stored, problems: [], problemCount: 0, message }
}
