import type { ReuseBuffer } from './buffer-pool.ts'
import type { FileDigest } from './digest-records.ts'
import type { Digest } from '../digest.ts'
import type { Problem } from '../problem.ts'

/** The result of staging one task. */
export interface StageOutcome {
  readonly task: number
  /** Staged bytes of the file; 0 with a problem. */
  readonly bytes: number
  /** Present if the file is not staged. */
  readonly problem?: Problem
  /** Whether the digest differs from that of the stored copy, so that the file itself is requested. */
  readonly isWantedAgain?: boolean
}

/** A large file that is being staged. Calls must not overlap. */
export interface StagedFile {
  /** Appends bytes and takes ownership of their buffer. Resolves when there is room for more. */
  write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void>
  /** Appends zeros, which need not take disk space. Resolves when there is room for more. */
  hole (lengthBytes: number): Promise<void>
  /** Appends bytes from the server's present copy of the file. Rejects with DATA_UNEXPECTED beyond its end. */
  copy (offset: number, lengthBytes: number): Promise<void>
  /**
   * Completes the file and checks its digest. A different digest is a problem of this file (DIGEST_MISMATCH), and nothing of it
   * is kept.
   *
   * @param signature of the whole file, if it was computed on the fly: kept for the next delta
   */
  finish (digest: Digest, signature?: Uint8Array): Promise<StageOutcome>
  /** Abandons the file; what was written may be kept as a partial. */
  abandon (): Promise<void>
}

/**
 * Where received files wait for their commit: the port between transfer and archive. It knows files only by their task number,
 * so an instance serves one session. It rejects only with errors that end the session (no room, archive gone); trouble with one
 * file is a problem in its outcome.
 */
export interface StagingArea {
  /** Stages the files of a pack, checks their digests and takes ownership of the buffer. Returns one outcome per file. */
  stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]>
  /** Compares the digests of files for which only the digest was requested. Returns one outcome per file. */
  compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]>
  /** Starts a large file at `offset`; everything before it was staged in an earlier session. */
  beginFile (task: number, offset: number): Promise<StagedFile>
}
