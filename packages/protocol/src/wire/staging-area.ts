import type { ReuseBuffer } from './buffer-pool.ts'
import type { FileDigest } from './digest-records.ts'
import type { Digest } from '../digest.ts'
import type { Problem } from '../problem.ts'

/** What became of one task at the staging side. */
export interface StageOutcome {
  readonly task: number
  /** Bytes of the file that are staged; 0 with a problem. */
  readonly bytes: number
  /** Present where the file is not staged. */
  readonly problem?: Problem
  /** The digest is not that of the copy that is here: the file is asked for again, with `again` of the session. */
  readonly isWantedAgain?: boolean
}

/** A large file that is being staged. Calls are made one behind the other. */
export interface StagedFile {
  /** Appends bytes, which are given away. Resolves when there is room for more. */
  write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void>
  /** Appends so many zeros, which need not take room. Resolves when there is room for more. */
  hole (lengthBytes: number): Promise<void>
  /** Appends bytes from the server's present copy of the file. Rejects with DATA_UNEXPECTED beyond its end. */
  copy (offset: number, lengthBytes: number): Promise<void>
  /**
   * All bytes are there: checks them against the digest of the whole file. Another digest is a problem of this file
   * (DIGEST_MISMATCH), and nothing of it is kept.
   *
   * @param signature of the whole file, where it is known by the way: kept for the next difference
   */
  finish (digest: Digest, signature?: Uint8Array): Promise<StageOutcome>
  /** Gives the file up; what was written may be kept for a resume. */
  abandon (): Promise<void>
}

/**
 * Where received files wait for their commit: the port between whoever receives them and whoever stores them. The number of a task is all it gets to know, so it was made for
 * the tasks of one session. It rejects only for what ends the session (no room, archive gone); the trouble of one file is
 * a problem in its outcome.
 */
export interface StagingArea {
  /** Stages the files of a pack, which is given away. Checks the digest of each. One outcome a file. */
  stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]>
  /** Takes the digests of files of which nothing else was asked. One outcome a file. */
  compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]>
  /** Starts a large file at `offset`: everything before is staged already, from an earlier session. */
  beginFile (task: number, offset: number): Promise<StagedFile>
}
