import type { Problem } from '@filesync/protocol'
import { printable } from './printable.ts'

/** How many problems are listed to a person; the rest is counted. */
const SHOWN_PROBLEMS = 20

/** Problems for a person, a line each: the first of them, and how many more there are. */
export function problemLines ({ problems, problemCount }: { readonly problems: readonly Pick<Problem, 'path' | 'message'>[], readonly problemCount: number }): string[] {
  const lines = problems.slice(0, SHOWN_PROBLEMS).map(({ path, message }) => `  ${printable(path)}: ${printable(message)}`)
  const more = problemCount - lines.length
  return more > 0 ? [...lines, `  and ${more} more`] : lines
}
