import { problem } from '@filesync/protocol'
import type { Problem, ProblemCode } from '@filesync/protocol'

/**
 * Why an entry is left out by its nature: it is a device, a socket or a pipe; a link that leads out, if such links are refused; a
 * directory that contains itself, so that all of it is listed above; or the index and versions of an archive.
 */
export type LeftOutCode = Extract<ProblemCode, 'SPECIAL_FILE' | 'SYMLINK_OUTSIDE' | 'DIRECTORY_LOOP' | 'NAME_RESERVED'>

/**
 * An entry that is not listed because of what it is, so that another run would leave it out too. It is not a problem: there is
 * nothing to mend, and a run that leaves it out is complete.
 */
export interface LeftOut extends Problem {
  readonly code: LeftOutCode
}

/** The first entries that were left out, and the number of all. */
export interface LeftOutEntries {
  readonly first: readonly LeftOut[]
  readonly count: number
}

/** An entry that is left out, with the standard text of its code followed by the detail of this case. */
export function leftOut (path: string, code: LeftOutCode, detail?: string): LeftOut {
  return { ...problem(path, code, detail), code }
}
