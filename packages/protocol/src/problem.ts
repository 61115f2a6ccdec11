import { LIMITS } from './limits.ts'

/**
 * Everything that can be wrong with a single path. A problem never ends a session: it is collected, reported, and tried
 * again at the next sync. docs/protocol.md holds the same table, and a test compares the two.
 */
export const PROBLEMS = {
  NAME_NOT_UNICODE: 'the name is not valid UTF-8, so it cannot be stored under the same name everywhere',
  NAME_CONTROL: 'the name contains control or text-direction characters',
  NAME_TOO_LONG: 'the name is longer than 255 bytes',
  NAME_RESERVED: 'the name is reserved for FileSync',
  NAME_WINDOWS: 'the file system of the archive cannot store this name',
  NAME_COLLIDES: 'the file system of the archive does not distinguish this name from another one in its directory',
  PATH_TOO_LONG: 'the path is longer than 1024 bytes',
  PATH_TOO_DEEP: 'the path has more than 64 levels',
  UNREADABLE: 'it cannot be read',
  VANISHED: 'it disappeared while the sync was running',
  CHANGED_DURING_READ: 'it changed while it was being read',
  UNSETTLED: 'it was modified a moment ago and is skipped until it has settled',
  GROWING: 'it is written to continuously, so only its content up to the size at the scan is stored',
  SPECIAL_FILE: 'it is a device, a socket or a named pipe',
  DIRECTORY_LOOP: 'the directory contains itself',
  SYMLINK_OUTSIDE: 'the symbolic link points outside the source',
  TOO_LARGE: 'it is larger than the server accepts',
  NO_ROOM: 'the archive has no room for it',
  STORE_FAILED: 'the server could not store it',
  DIGEST_MISMATCH: 'the content that arrived does not match its digest',
  SIZE_UNRELIABLE: 'its content is longer or shorter than the size that its file system reports',
  NOT_CARRIED: 'the protocol of the original program cannot transfer it',
  OTHER: 'the reason is unknown to this version',
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** One path's trouble. */
export interface Problem {
  /** Relative to the tree, `/` between names; bytes that are not UTF-8 are shown as U+FFFD. */
  readonly path: string
  readonly code: ProblemCode
  /** For a person: what happened and what to do. */
  readonly message: string
}

export function isProblemCode (code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code)
}

/** A problem with the catalogue's own words, and what is particular to this case behind them. */
export function problem (path: string, code: ProblemCode, detail?: string): Problem {
  return { path, code, message: detail === undefined ? PROBLEMS[code] : `${PROBLEMS[code]}: ${detail}` }
}

/** Longest text of a problem in a message, in UTF-16 units; a page of problems with longer ones would not fit a frame. */
const MAX_TEXT_LENGTH = 1024

/** The first problems that one end tells of, and how many it has in all. */
interface ToldProblems {
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

interface JoinedProblems {
  readonly problemCount: number
  /** Those of the answer that are not among what was told. */
  readonly more: readonly Problem[]
}

/**
 * The trouble of a sync as a whole: what the client told of its tree, and what the server answered of that. Both ends know
 * both, so both come to one number. What both tell, such as a file that was held back, counts once.
 */
export function mergeProblems (told: ToldProblems, answered: ToldProblems): JoinedProblems {
  // As they travel: an end that has more of its own problems than fit a message must not come to another number.
  const known = new Set(fitProblems(told.problems).map(({ path, code }) => `${code} ${path}`))
  const more = answered.problems.filter(({ path, code }) => !known.has(`${code} ${path}`))
  return { problemCount: told.problemCount + answered.problemCount - (answered.problems.length - more.length), more }
}

/** As many problems, from the first, as one message may hold, with texts that are too long cut short. */
export function fitProblems (problems: readonly Problem[]): Problem[] {
  return problems.slice(0, LIMITS.problemsPerMessage).map(({ path, code, message }) => ({ path: cut(path), code, message: cut(message) }))
}

function cut (text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : `${text.slice(0, MAX_TEXT_LENGTH - 1).toWellFormed()}…`
}
