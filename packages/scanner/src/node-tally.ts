import { NO_NOTES } from './directory-notes.ts'
import type { DirectoryNotes } from './directory-reading.ts'

/** How much of what is not usual is in a directory and below it. */
export interface OddTally {
  /** Ignored names. */
  readonly ignored: number
  readonly problems: number
  readonly leftOut: number
  /** Directories with a `mount`. */
  readonly mounts: number
  readonly unsettled: number
  /** Directories with something that could not be read. */
  readonly incomplete: number
}

/** What is in a directory and everything below it. */
export interface Tally {
  readonly files: number
  readonly directories: number
  readonly bytes: number
  readonly odd: OddTally
}

/** Most directories share this object. */
export const NOTHING_ODD: OddTally = { ignored: 0, problems: 0, leftOut: 0, mounts: 0, unsettled: 0, incomplete: 0 }

/** The sum of two, or the difference if `sign` is -1. */
export function addOdd (to: OddTally, other: OddTally, sign: 1 | -1 = 1): OddTally {
  if (other === NOTHING_ODD) return to
  const sum = {
    ignored: to.ignored + sign * other.ignored,
    problems: to.problems + sign * other.problems,
    leftOut: to.leftOut + sign * other.leftOut,
    mounts: to.mounts + sign * other.mounts,
    unsettled: to.unsettled + sign * other.unsettled,
    incomplete: to.incomplete + sign * other.incomplete,
  }
  return Object.values(sum).some(count => count !== 0) ? sum : NOTHING_ODD
}

/** What a directory contributes by itself. */
export function oddOf (notes: DirectoryNotes): OddTally {
  if (notes === NO_NOTES) return NOTHING_ODD
  return addOdd(NOTHING_ODD, {
    ignored: notes.ignored,
    problems: notes.problemCount,
    leftOut: notes.leftOut?.count ?? 0,
    mounts: notes.mount === undefined ? 0 : 1,
    unsettled: notes.unsettled.length,
    incomplete: notes.complete ? 0 : 1,
  })
}

/** A tally that is changed step by step. */
export class RunningTally implements Tally {
  files = 0
  directories = 0
  bytes = 0
  odd: OddTally = NOTHING_ODD

  add ({ files, directories, bytes, odd }: Tally, sign: 1 | -1 = 1): void {
    this.files += sign * files
    this.directories += sign * directories
    this.bytes += sign * bytes
    this.odd = addOdd(this.odd, odd, sign)
  }
}
