import type { Digest } from '../digest.ts'
import type { PageTree } from './page-tree.ts'
import type { RelativePath } from './relative-path.ts'

/** The state of a source: an encoded listing for every directory. The digest of the root directory covers all of it. */
export interface Tree {
  /** Digest of the root directory. */
  readonly rootDigest: Digest
  readonly files: number
  readonly directories: number
  /** Sum of the sizes of all files. */
  readonly bytes: number
  /** The encoded listing of a directory, or undefined if the tree has none. */
  listing (directory: RelativePath): Uint8Array | undefined
  /**
   * The pages of a directory of more than `LIMITS.pageEntries` entries; undefined for any other. A tree without this method has its
   * listings cut when they are sent.
   */
  pages? (directory: RelativePath): DirectoryPages | undefined
}

/** The pages of a directory that has more than one. */
export interface DirectoryPages {
  readonly tree: PageTree
  /** The encoded page at this position. */
  leaf (index: number): Uint8Array
}
