import type { Problem } from '@filesync/protocol'
import { printable } from './printable.ts'

/** How many problems are listed for people; the rest is counted. */
const SHOWN_PROBLEMS = 20

export interface ProblemReport {
  readonly problems: readonly Pick<Problem, 'path' | 'message'>[]
  /** Including those that are not in `problems`. */
  readonly problemCount: number
}

/** Problems for people, one per line: the first ones, then how many more there are. */
export function problemLines ({ problems, problemCount }: ProblemReport): string[] {
  const lines = problems.slice(0, SHOWN_PROBLEMS).map(({ path, message }) => `  ${printable(path)}: ${printable(message)}`)
  const more = problemCount - lines.length
  return more > 0 ? [...lines, `  and ${more} more`] : lines
}
