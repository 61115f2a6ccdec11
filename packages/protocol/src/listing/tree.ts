import type { Digest } from '../digest.ts'
import type { RelativePath } from './relative-path.ts'

/** The state of a whole tree: a listing for every directory, in encoded form. The root's digest names all of it. */
export interface Tree {
  /** Digest of the root's listing. */
  readonly rootDigest: Digest
  readonly files: number
  readonly directories: number
  /** Sum of the sizes of all files. */
  readonly bytes: number
  /** The encoded listing of a directory, or undefined where the tree has none. */
  listing (directory: RelativePath): Uint8Array | undefined
}
