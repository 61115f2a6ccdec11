import type { Digest, RelativePath } from '@filesync/protocol'
import type { RestoredMoment } from './archive.ts'
import type { RestoreFailure, StoredFileHandle } from './store/content-store.ts'

/**
 * The state of a path at a moment, for reading only. It takes about as much memory as the listings and digests of its files. What
 * expires while it is open can no longer be opened.
 */
export interface PastTree {
  readonly at: RestoredMoment
  /** What the path itself was. */
  readonly kind: 'file' | 'directory' | 'symlink'
  /** Number of files and links. */
  readonly files: number
  /** Total size of the files. */
  readonly bytes: number
  /** Number of directories at and below the path, without the root of the area. */
  readonly directories: number
  /** Reasons why the state may be incomplete or inexact, including each entry that no listing can name. */
  readonly doubts: readonly RestoreFailure[]
  /**
   * The canonical listing (`encodeListing`) of a directory; undefined if it was not there. Digests of directories in it are zero. A
   * directory above the path lists only what leads to it. Paths are those of the area; the root of the area is the empty path.
   */
  listing (directory: RelativePath): Uint8Array | undefined
  /** The digest with which a file was stored; undefined if it is not known. */
  digest (path: RelativePath): Digest | undefined
  /**
   * Opens the content of a file; undefined if the archive has it no longer. A copy that is missing, unreadable or of another size is
   * skipped for another one with the same content, from any path. Compare what you read with `digest`, and call `reject` if it differs.
   */
  open (path: RelativePath): Promise<StoredFileHandle | undefined>
  /**
   * Reads small files at once, and returns those that are whole: they have their digests. Undefined for the others; `open` may find
   * another copy of them. Absent if the store cannot do that.
   *
   * @param files with the sizes of their entries
   */
  readSmall? (files: readonly { readonly path: RelativePath, readonly sizeBytes: number }[]): Promise<readonly (Uint8Array | undefined)[]>
  /**
   * What `open` returned last for this file did not have its digest, or could not be read to its end: the next call of `open` returns a
   * copy whose content was verified, if there is one.
   */
  reject (path: RelativePath): void
  /** Closes the tree; files that were opened stay open until they are closed themselves. */
  close (): Promise<void>
}
