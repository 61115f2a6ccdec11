import type { Digest, FileEntry, ProblemCode, RelativePath } from '@filesync/protocol'

/** A file that the server asked for, as it was listed. */
export interface WantedFile {
  /** The number of the task that asks for it. */
  readonly task: number
  readonly directory: RelativePath
  readonly entry: FileEntry
  /** Whether it may have been appended to since it was listed; its beginning is read, and proven by reading it twice. */
  readonly isGrowing?: boolean
}

/** Why a file cannot be sent now. It goes to the server in the file's place, and is tried again at the next sync. */
export interface FileFault {
  readonly code: ProblemCode
  /** What the catalogue's words do not say, for a person. */
  readonly detail?: string
}

/** What became of a batch of small files that were read for a PACK or a DIGESTS frame. */
export interface PackRead {
  /** One whole frame, header in front, alone in its buffer; undefined where no file could be read. */
  readonly frame: Uint8Array<ArrayBuffer> | undefined
  /** How many files are in the frame, and the bytes of their content. */
  readonly files: number
  readonly bytes: number
  readonly faults: readonly (FileFault & { readonly task: number })[]
}

/** How a large file is to be read. */
export interface StreamRequest {
  readonly file: WantedFile
  /** DATA: the bytes from `offset` on. DELTA: operations against `signature`. NONE: only the digest. */
  readonly content: 'DATA' | 'DELTA' | 'NONE'
  /** 0 unless the content is DATA. */
  readonly offset: number
  /** The server's signature of its copy, for DELTA. */
  readonly signature?: Uint8Array
  /** Bytes of the file in one frame, at most 1 MiB. */
  readonly pieceBytes: number
  /** Whether steps may be holes. */
  readonly holes?: boolean
  /** More than this allocated for the file is a fault (NO_ROOM). */
  readonly roomBytes?: number
}

/** The next piece of work on a large file. */
export type StreamStep =
  /** A whole DATA or DELTA frame, header in front, alone in its buffer. */
  | { readonly kind: 'FRAME', readonly frame: Uint8Array<ArrayBuffer>, readonly fileBytes: number }
  /** The next bytes of the file are zeros; at most `holeBytes` of the protocol. */
  | { readonly kind: 'HOLE', readonly fileBytes: number }
  /** Bytes of the file were read, and there is nothing to send for them yet. */
  | { readonly kind: 'READ', readonly fileBytes: number }
  /** The file was read whole and is as it was listed. */
  | { readonly kind: 'END', readonly digest: Digest }
  | { readonly kind: 'FAULT', readonly fault: FileFault }

/** A large file that is being read. */
export interface SourceStream {
  /**
   * The next step. May be called again before the last call has resolved: steps come in order, and the last one, END or
   * FAULT, comes again for every call behind it.
   *
   * @param compress whether a frame may be compressed where its content shrinks
   */
  next (compress: boolean): Promise<StreamStep>
  /** Gives the file up, or free after its last step. May be called at any time, and twice. */
  close (): void
}

/**
 * Where the bytes of wanted files come from, as a port. What is read is what was listed: it is the file with the file id of
 * the entry, size and mtime are those of the entry before and after reading, and no symbolic link is followed on the way;
 * anything else is a fault of that file.
 */
export interface FileSource {
  /** How many reads it can do at the same time. */
  readonly parallelism: number
  /**
   * Starts what reading takes, so that it stands when the first file is wanted. The call may be left out, and come again.
   *
   * @param directories how many differ in one level of the tree; several mean that many files may be wanted
   */
  prepare (directories: number): void
  /** Forgets how directories were reached, so that what is listed from now on is looked for where it is now. Called after each scan. */
  refresh (): void
  /** Reads small files whole. The sum of their sizes and records fits one PACK frame. */
  readPack (files: readonly WantedFile[], compress: boolean): Promise<PackRead>
  /** Reads small files whole for their digests: as {@link readPack}, but the frame is a DIGESTS one. */
  readDigests (files: readonly WantedFile[]): Promise<PackRead>
  /** Starts to read a large file. Trouble shows in its steps. */
  openStream (request: StreamRequest): SourceStream
  /** Takes the buffer of a frame that was sent, for a frame to come. */
  reuse (buffer: ArrayBuffer): void
  /** Frees what it holds. Reads that are under way reject with ABORTED. */
  close (): Promise<void>
}
