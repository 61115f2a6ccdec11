import { problem } from '@filesync/protocol'
import type { ProblemList } from '@filesync/protocol'
import { pathOf } from '../store/section.ts'
import type { Failure, Removal } from '../store/section.ts'

/** Makes each failure a problem of its path. */
export function addFailures (problems: ProblemList, failures: readonly Failure[], path: (failure: Failure) => string): void {
  for (const failure of failures) problems.add(problem(path(failure), 'STORE_FAILED', failure.message))
}

/** Makes each name that could not be removed a problem of its path. */
export function addRemovalFailures (problems: ProblemList, failures: readonly Failure[], removals: readonly Removal[]): void {
  addFailures(problems, failures, ({ section, entry }) => pathOf(removals[section], entry))
}

/** The removals without the names that could not be removed. */
export function withoutFailed (removals: readonly Removal[], failures: readonly Failure[]): readonly Removal[] {
  const failed = new Set(failures.map(({ section, entry }) => `${String(section)}:${String(entry)}`))
  return removals.map(({ directory, names }, section) => (
    { directory, names: names.filter((_, entry) => !failed.has(`${String(section)}:${String(entry)}`)) }
  ))
}
