import type { Digest, RelativePath } from '@filesync/protocol'
import type { FoundEntry } from './content-store.ts'

/** An existing copy of a client's source outside the archive, to be adopted. */
export interface ExistingCopy {
  /** Its directory itself. */
  readonly rootState: { readonly mtimeNs: bigint, readonly mode: number }
  list (directory: RelativePath): FoundEntry[]
  /** Yields to other work of this thread. */
  pause (): Promise<void>
  /** Throws if it is not a regular file or cannot be read. */
  open (path: RelativePath): CopiedFile
  close (): void
}

/** An open file of an existing copy. */
export interface CopiedFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** Whether it was not written to since it was opened. */
  isUnchanged (): boolean
  /** The next bytes, each piece in a buffer of its own; undefined at the end. */
  read (): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Digest of everything that was read. */
  digest (): Digest
  close (): void
}
