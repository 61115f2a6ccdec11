import type { Digest, RelativePath } from '@filesync/protocol'
import type { FoundEntry } from './content-store.ts'

/** An existing copy of a client's directory, outside the archive, as a port. */
export interface ExistingCopy {
  list (directory: RelativePath): FoundEntry[]
  /** Lets the other work of this thread go on. */
  pause (): Promise<void>
  /** Throws where it is no regular file, or cannot be read. */
  open (path: RelativePath): CopiedFile
  close (): void
}

/** A file of it that is open. */
export interface CopiedFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** Whether nothing was written to it since it was opened. */
  isUnchanged (): boolean
  /** The next bytes, each piece in a buffer of its own; undefined at the end. */
  read (): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Of all that was read. */
  digest (): Digest
  close (): void
}
