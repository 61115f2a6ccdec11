import type { Digest, FileEntry, ProblemCode, RelativePath } from '@filesync/protocol'

/** A file that the server asked for, as it was listed. */
export interface WantedFile {
  /** Number of its task. */
  readonly task: number
  readonly directory: RelativePath
  readonly entry: FileEntry
  /** Whether it may have been appended to since it was listed. The listed size is read, and read again to verify it. */
  readonly isGrowing?: boolean
}

/** Why a file cannot be sent now. The server gets it instead of the file, and the file is tried again at the next sync. */
export interface FileFault {
  readonly code: ProblemCode
  /** Details for the user, in addition to the text of the code. */
  readonly detail?: string
}

/** The result of reading a batch of small files for a PACK or a DIGESTS frame. */
export interface PackRead {
  /** One whole frame with its header, alone in its buffer; undefined if no file could be read. */
  readonly frame: Uint8Array<ArrayBuffer> | undefined
  /** Number of files in the frame, and the bytes of their content. */
  readonly files: number
  readonly bytes: number
  readonly faults: readonly (FileFault & { readonly task: number })[]
}

/** How to read a large file. */
export interface StreamRequest {
  readonly file: WantedFile
  /** DATA: the bytes from `offset`. DELTA: operations against `signature`. NONE: only the digest. */
  readonly content: 'DATA' | 'DELTA' | 'NONE'
  /** 0 unless the content is DATA. */
  readonly offset: number
  /** The server's signature of its copy, for DELTA. */
  readonly signature?: Uint8Array
  /** Bytes of the file in one frame, at most 1 MiB. */
  readonly pieceBytes: number
  /** Whether steps may be holes. */
  readonly holes?: boolean
  /** The file is a fault (NO_ROOM) if more than this is allocated for it. */
  readonly roomBytes?: number
}

/** The result of one step of reading a large file. */
export type StreamStep =
  /** A whole DATA or DELTA frame with its header, alone in its buffer. */
  | { readonly kind: 'FRAME', readonly frame: Uint8Array<ArrayBuffer>, readonly fileBytes: number }
  /** The next bytes of the file are zeros; at most `LIMITS.holeBytes`. */
  | { readonly kind: 'HOLE', readonly fileBytes: number }
  /** Bytes of the file were read; there is nothing to send for them yet. */
  | { readonly kind: 'READ', readonly fileBytes: number }
  /** The whole file was read, and it is as it was listed. */
  | { readonly kind: 'END', readonly digest: Digest }
  | { readonly kind: 'FAULT', readonly fault: FileFault }

/** A large file that is being read. */
export interface SourceStream {
  /**
   * The next step. May be called again before the previous call has resolved: steps come in order, and the last one, END or
   * FAULT, is repeated for every later call.
   *
   * @param compress whether a frame may be compressed if its content shrinks
   */
  next (compress: boolean): Promise<StreamStep>
  /** Closes the file. May be called at any time, and more than once. */
  close (): void
}

/**
 * Reads wanted files; a port. It reads only what was listed: a file with the entry's file id, and with its size and mtime
 * before and after reading, and it follows no symbolic link on the way. Anything else is a fault of that file.
 */
export interface FileSource {
  /** Number of concurrent reads. */
  readonly parallelism: number
  /**
   * Starts what reading needs (threads), so that it is ready for the first wanted file. Optional, and may be called again.
   *
   * @param directories number of directories that differ in one level of the tree; several mean that many files may be wanted
   */
  prepare (directories: number): void
  /** Closes open directories, so that directories that moved are found where they are now. Called after each scan. */
  refresh (): void
  /** Reads small files whole. Their records and content must fit in one PACK frame. */
  readPack (files: readonly WantedFile[], compress: boolean): Promise<PackRead>
  /** Like {@link readPack}, but for the digests only: the result is a DIGESTS frame. */
  readDigests (files: readonly WantedFile[]): Promise<PackRead>
  /** Starts to read a large file. Faults are steps. */
  openStream (request: StreamRequest): SourceStream
  /** Takes back the buffer of a frame that was sent, for reuse. */
  reuse (buffer: ArrayBuffer): void
  /** Frees all resources. Pending reads reject with ABORTED. */
  close (): Promise<void>
}
