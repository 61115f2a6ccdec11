import { problem } from '@filesync/protocol'
import type { ProblemList } from '@filesync/protocol'
import { removedPath } from '../store/section.ts'
import type { EntryFailure, Removal } from '../store/section.ts'

/** Makes each failure a problem of its path. */
export function addFailures (problems: ProblemList, failures: readonly EntryFailure[], path: (failure: EntryFailure) => string): void {
  for (const failure of failures) problems.add(problem(path(failure), 'STORE_FAILED', failure.message))
}

/** Makes each name that could not be removed a problem of its path. */
export function addRemovalFailures (problems: ProblemList, failures: readonly EntryFailure[], removals: readonly Removal[]): void {
  addFailures(problems, failures, ({ section, entry }) => removedPath(removals[section], entry))
}

/** The removals without the names that could not be removed. */
export function withoutFailed (removals: readonly Removal[], failures: readonly EntryFailure[]): readonly Removal[] {
  const failed = new Set(failures.map(({ section, entry }) => `${String(section)}:${String(entry)}`))
  return removals.map(({ directory, names }, section) => (
    { directory, names: names.filter((_, entry) => !failed.has(`${String(section)}:${String(entry)}`)) }
  ))
}
