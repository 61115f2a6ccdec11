/** Exit code of a process that ends with an error; the table is part of the command line contract. */
export type ExitCode = 1 | 2 | 3 | 4 | 6 | 75

/** Properties of all errors with one code. */
export interface ErrorKind {
  readonly exitCode: ExitCode
  /** Whether a later retry can succeed without human intervention. */
  readonly retryable: boolean
  /** Whether CLOSE may carry the code to the peer. Local errors are not disclosed. */
  readonly wire: boolean
  readonly meaning: string
}

/** The error codes. Compare errors by these. */
export type ErrorCode =
  | 'FRAME_TOO_LARGE' | 'FRAME_MALFORMED' | 'ENCODING_MALFORMED' | 'ENCODING_FORBIDDEN' | 'ENCODING_TOO_DEEP'
  | 'MESSAGE_INVALID' | 'MESSAGE_UNEXPECTED' | 'DATAGRAM_INVALID' | 'VERSION_UNSUPPORTED' | 'LIMIT_EXCEEDED'
  | 'NAME_INVALID' | 'LISTING_INVALID' | 'LISTING_MISMATCH' | 'TASK_INVALID' | 'DATA_UNEXPECTED' | 'DATA_MISMATCH'
  | 'PEER_GONE' | 'PEER_TIMEOUT' | 'PEER_TOO_SLOW' | 'SESSION_REPLACED' | 'SESSION_YIELDED' | 'OUTSIDE_WINDOW' | 'PAUSED' | 'SERVER_BUSY'
  | 'SERVER_STOPPING' | 'SERVER_NOT_FOUND' | 'SERVER_UNREACHABLE' | 'NOT_PAIRED' | 'PAIRING_REFUSED'
  | 'PAIRING_UNPROVEN' | 'IDENTITY_CHANGED' | 'PEER_UNPROVEN' | 'KEY_INVALID' | 'KEY_EXPOSED' | 'STATE_INVALID'
  | 'STATE_IN_USE' | 'DISCOVERY_UNAVAILABLE' | 'PORT_UNAVAILABLE' | 'SOURCE_UNAVAILABLE' | 'SOURCE_SUSPECT'
  | 'ARCHIVE_UNAVAILABLE' | 'ARCHIVE_FULL' | 'ARCHIVE_ESCAPE' | 'TARGET_UNAVAILABLE' | 'RESTORE_FORBIDDEN' | 'POINT_UNKNOWN'
  | 'PATH_ABSENT' | 'HALTED' | 'USAGE' | 'ABORTED' | 'INTERNAL'

const wireFault = (meaning: string): ErrorKind => ({ exitCode: 1, retryable: false, wire: true, meaning })
const localFault = (exitCode: ExitCode, meaning: string): ErrorKind => ({ exitCode, retryable: false, wire: false, meaning })
/** Local, and resolved when a missing disk is back. */
const localWait = (meaning: string): ErrorKind => ({ exitCode: 1, retryable: true, wire: false, meaning })
const passing = (exitCode: ExitCode, meaning: string): ErrorKind => ({ exitCode, retryable: true, wire: true, meaning })

/**
 * Every way a session or a command can fail. An error ends the session or command; trouble with a single path is a
 * `Problem` instead. docs/protocol.md has the same table, and a test compares the two.
 */
export const ERRORS: Readonly<Record<ErrorCode, ErrorKind>> = {
  FRAME_TOO_LARGE: wireFault('a frame is longer than its type allows'),
  FRAME_MALFORMED: wireFault('a frame header or a raw payload is invalid'),
  ENCODING_MALFORMED: wireFault('bytes that are not one complete MessagePack value'),
  ENCODING_FORBIDDEN: wireFault('a MessagePack type that the protocol does not use'),
  ENCODING_TOO_DEEP: wireFault('MessagePack containers nested deeper than allowed'),
  MESSAGE_INVALID: wireFault('a message that fails schema validation'),
  MESSAGE_UNEXPECTED: wireFault('a message or frame that is not allowed at this point of the session'),
  DATAGRAM_INVALID: localFault(1, 'a discovery datagram that fails schema validation'),
  VERSION_UNSUPPORTED: wireFault('the two ends have no protocol version in common'),
  LIMIT_EXCEEDED: wireFault('a count or size above a limit of docs/protocol.md'),
  NAME_INVALID: wireFault('a name in a listing that violates the rules for names'),
  LISTING_INVALID: wireFault('a listing that is not in canonical form'),
  LISTING_MISMATCH: wireFault('a listing whose digest differs from the announced one'),
  TASK_INVALID: wireFault('a task for an entry that was not listed, or was listed as another kind'),
  DATA_UNEXPECTED: wireFault('file data that was not requested, or more or less of it than announced'),
  DATA_MISMATCH: passing(1, 'file data whose digest differs from the announced one'),
  PEER_GONE: passing(75, 'the connection ended before the session did'),
  PEER_TIMEOUT: passing(75, 'the peer sent nothing, or accepted no data, for too long'),
  PEER_TOO_SLOW: passing(75, 'the peer made less than the minimum progress that a session requires'),
  SESSION_REPLACED: passing(75, 'the same identity opened a newer session'),
  SESSION_YIELDED: passing(75, 'the session ran long and yields to waiting clients'),
  OUTSIDE_WINDOW: passing(75, 'it is outside the times of day at which the server syncs'),
  PAUSED: passing(75, 'the operator of the server has paused this client'),
  SERVER_BUSY: passing(75, 'the server accepts no more connections at the moment'),
  SERVER_STOPPING: passing(75, 'the server is stopping'),
  SERVER_NOT_FOUND: passing(75, 'no server answered on the local network'),
  SERVER_UNREACHABLE: passing(75, 'the server could not be reached at its address'),
  NOT_PAIRED: { exitCode: 3, retryable: false, wire: true, meaning: 'the server does not know this client, or has revoked it' },
  PAIRING_REFUSED: { exitCode: 3, retryable: false, wire: true, meaning: 'the pairing code or enrollment token was not accepted' },
  PAIRING_UNPROVEN: localFault(3, 'the other end did not prove that it knows the pairing code'),
  IDENTITY_CHANGED: localFault(4, "the server's identity is not the one it was paired with"),
  PEER_UNPROVEN: { exitCode: 1, retryable: false, wire: true, meaning: 'the peer did not prove its identity as the protocol requires' },
  KEY_INVALID: localFault(1, 'the key or certificate of this machine is damaged, lacks its counterpart, or is not valid for this use'),
  KEY_EXPOSED: localFault(1, 'other users can read the private key'),
  STATE_INVALID: localFault(1, 'a file in the state directory is damaged or cannot be written'),
  STATE_IN_USE: localFault(1, 'another process is using the state directory or the archive'),
  DISCOVERY_UNAVAILABLE: localFault(1, 'discovery cannot listen or send on this machine'),
  PORT_UNAVAILABLE: localFault(1, 'listening on the port failed'),
  SOURCE_UNAVAILABLE: localWait('the source is missing, is not a directory, or cannot be read'),
  SOURCE_SUSPECT: localWait('the source is not the same directory as before, or is empty although it was not'),
  ARCHIVE_UNAVAILABLE: { exitCode: 1, retryable: true, wire: true, meaning: 'the archive cannot be used at the moment' },
  ARCHIVE_FULL: { exitCode: 1, retryable: true, wire: true, meaning: 'the archive has no room, or the quota is used up' },
  ARCHIVE_ESCAPE: { exitCode: 1, retryable: false, wire: true, meaning: 'a path inside the archive leads outside it' },
  TARGET_UNAVAILABLE: localFault(1, 'the directory to restore to cannot be written to, or is full'),
  RESTORE_FORBIDDEN: wireFault('the server does not let clients read files back'),
  POINT_UNKNOWN: wireFault('the history has no such point, or no longer has all versions that it needs'),
  PATH_ABSENT: wireFault('nothing was stored at that path at that moment'),
  HALTED: { exitCode: 6, retryable: false, wire: true, meaning: 'the mass-change brake halted the sync' },
  USAGE: localFault(2, 'the command line or the configuration is invalid'),
  ABORTED: localFault(1, 'stopped on request'),
  INTERNAL: { exitCode: 1, retryable: true, wire: true, meaning: 'an error in the program itself' },
}

export interface ErrorDetail {
  /** The underlying error. */
  readonly cause?: unknown
  /** The path the error is about, relative to the tree. */
  readonly path?: string
  /** When the peer may retry, in milliseconds, if this end knows. */
  readonly retryInMs?: number | undefined
  /** Further lines of a multi-line message. Text from a peer or a file name must not create lines. */
  readonly lines?: readonly string[] | undefined
}

/**
 * The one error class of the project. Compare by `code`, never by `instanceof`: two installed copies of this package
 * have two classes.
 */
export class FileSyncError extends Error {
  override readonly name = 'FileSyncError'
  readonly code: ErrorCode
  readonly path: string | undefined
  readonly retryInMs: number | undefined
  /** The lines of the message, if it was created with several. */
  readonly lines: readonly string[] | undefined

  /** @param message what happened, why, and what to do about it, for a person */
  constructor (code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super([message, ...detail.lines ?? []].join('\n'), 'cause' in detail ? { cause: detail.cause } : undefined)
    this.code = code
    this.path = detail.path
    this.retryInMs = detail.retryInMs
    this.lines = detail.lines === undefined ? undefined : [message, ...detail.lines]
  }
}

/** Whether a string is an {@link ErrorCode} (a newer peer may know more). */
export function isErrorCode (code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}

/** Whether a caught value is a {@link FileSyncError}, of any copy of this package. */
export function isFileSyncError (error: unknown): error is FileSyncError {
  return error instanceof Error && error.name === 'FileSyncError' && 'code' in error &&
    typeof error.code === 'string' && isErrorCode(error.code)
}

/** Returns a {@link FileSyncError} unchanged, and wraps any other error under `code` with the original as its cause. */
export function asFileSyncError (error: unknown, code: ErrorCode = 'INTERNAL'): FileSyncError {
  if (isFileSyncError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  return new FileSyncError(code, message, { cause: error })
}
