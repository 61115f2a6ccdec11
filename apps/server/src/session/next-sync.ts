import type { StoredSoFar, SyncOutcome } from '@filesync/archive'
import { fitProblems } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import type { ReceivedFiles } from '@filesync/transfer'

/** NEXT_SYNC after a session that came to its end. */
export function nextSync (outcome: SyncOutcome, received: ReceivedFiles, inMs: number): NextSync {
  // Files that arrived and were refused are in both reports. Both list only their first problems.
  const listed = new Set(received.problems.map(({ path, code }) => `${code} ${path}`))
  const more = outcome.problems.filter(({ path, code }) => !listed.has(`${code} ${path}`))
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

/** NEXT_SYNC after a sync that the brake halted; `stored` is what it had stored by then. */
export function haltedSync (message: string, stored: StoredSoFar, inMs: number): NextSync {
  return { type: 'NEXT_SYNC', inMs, result: 'HALTED', stored, problems: [], problemCount: 0, message }
}
