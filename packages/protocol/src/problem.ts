import { LIMITS } from './limits.ts'

/**
 * Everything that can be wrong with a single path. A problem never ends a session: it is collected, reported, and retried
 * at the next sync. docs/protocol.md has the same table, and a test compares the two.
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
  AWAY: 'it is a mount point that has changed, so nothing in it is pushed, and the archive keeps what it has of it',
  FOLDER_AWAY: 'the folder cannot be reached now, or is not the one that was pushed before, so the archive keeps what it has of it',
  FOLDER_EMPTIED: 'the folder is empty, and the archive has files of it, which it keeps',
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
  DAMAGED: 'the archive no longer has its content undamaged',
  EXPIRED: 'the archive no longer has the version of that moment',
  PATH_TAKEN: 'something else exists at this path and was kept',
  WRITE_FAILED: 'it could not be written',
  NOT_CARRIED: 'the protocol of the original program cannot transfer it',
  OTHER: 'the reason is unknown to this version',
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** Trouble with one path. */
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

/** A problem with the standard text of its code, followed by the detail of this case. */
export function problem (path: string, code: ProblemCode, detail?: string): Problem {
  return { path, code, message: detail === undefined ? PROBLEMS[code] : `${PROBLEMS[code]}: ${detail}` }
}

/** Longest text of a problem in a message, in UTF-16 units; a page of problems with longer ones would not fit a frame. */
const MAX_TEXT_LENGTH = 1024

/** The first problems that one end reports, and how many it has in total. */
interface ReportedProblems {
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

interface MergedProblems {
  readonly problemCount: number
  /** The problems of the answer that the client did not report itself. */
  readonly more: readonly Problem[]
}

/**
 * All problems of a sync: those that the client reported with its tree, and those in the server's answer. Both ends know both
 * lists, so both arrive at the same count. A problem that both report, such as a file that was held back, counts once.
 */
export function mergeProblems (reported: ReportedProblems, answered: ReportedProblems): MergedProblems {
  // Cut as they are sent: an end with more problems of its own than fit a message must arrive at the same count.
  const known = new Set(fitProblems(reported.problems).map(({ path, code }) => `${code} ${path}`))
  const more = answered.problems.filter(({ path, code }) => !known.has(`${code} ${path}`))
  return { problemCount: reported.problemCount + answered.problemCount - (answered.problems.length - more.length), more }
}

/** The first problems, at most as many as a message may hold, with long texts truncated. */
export function fitProblems (problems: readonly Problem[]): Problem[] {
  return problems.slice(0, LIMITS.problemsPerMessage).map(({ path, code, message }) => ({ path: cut(path), code, message: cut(message) }))
}

function cut (text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : `${text.slice(0, MAX_TEXT_LENGTH - 1).toWellFormed()}…`
}
