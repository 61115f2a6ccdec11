import type { Digest } from '../digest.ts'
import type { RelativePath } from './relative-path.ts'

/** The state of a source: an encoded listing for every directory. The digest of the root's listing covers all of it. */
export interface Tree {
  /** Digest of the root's listing. */
  readonly rootDigest: Digest
  readonly files: number
  readonly directories: number
  /** Sum of the sizes of all files. */
  readonly bytes: number
  /** The encoded listing of a directory, or undefined if the tree has none. */
  listing (directory: RelativePath): Uint8Array | undefined
}
