import type { Digest, ErrorCode, RelativePath } from '@filesync/protocol'
import type {
  DirectoryState, FoundEntry, HistoryLog, KeptEntry, OpenOptions, PackFailure, PackRequest, Placing, Relocation, Reread, RestoreOutcome,
  RestoreRequest, SpoiledFiles, StagedLink, StreamOutcome, StagedStreamRequest,
} from '../store/content-store.ts'
import type { TimeRange } from '../store/file-time.ts'
import type { Batch, EntryFailure, BatchOutcome, RemovalBatch, Section } from '../store/section.ts'
import type { FlushMode } from './disk-flushing.ts'

/** Small files to read, column by column: one object for each costs more than reading it. */
export interface SmallFileColumns {
  readonly paths: readonly RelativePath[]
  readonly folders: readonly (string | undefined)[]
  readonly sizesBytes: Float64Array
  /** 32 bytes for each. */
  readonly digests: Uint8Array
}

/** Digests of files, in one buffer: an array for each costs more than computing it. */
export interface FileDigests {
  /** 32 bytes for each. */
  readonly bytes: Uint8Array
  /** For each whether it could be read, 1 or 0. */
  readonly isRead: Uint8Array
}

/** The contents of files, one after the other. */
export interface SmallContents {
  readonly bytes: Uint8Array
  /** For each file whether its content is there, 1 or 0. */
  readonly isWhole: Uint8Array
}

/** The result of one step of rereading a file: there is more to read, the rest cannot be read, or the whole file was read. */
export type RereadStep = 'more' | 'unreadable' | Reread

/** The calls that a disk worker serves, one at a time. They take whole batches, so that no message per file crosses between threads. */
export interface DiskCalls {
  openArea (area: string): void
  stagePack (request: PackRequest): PackFailure[]
  openStream (id: number, request: StagedStreamRequest): number
  flushStream (id: number): void
  write (id: number, bytes: Uint8Array): void
  copy (id: number, offset: number, lengthBytes: number): void
  hole (id: number, lengthBytes: number): void
  finish (id: number, digest: Digest): StreamOutcome
  abandon (id: number): void
  openFile (area: string, path: RelativePath, options?: OpenOptions): { readonly fd: number, readonly sizeBytes: number } | undefined
  closeFile (fd: number): void
  readSmall (area: string, files: SmallFileColumns): SmallContents
  relocate (area: string, folder: string, relocations: readonly Relocation[]): EntryFailure[]
  linkStaged (folder: string, from: number, links: readonly StagedLink[]): number[]
  findSpoiled (area: string, folder: string, sections: readonly Section[]): SpoiledFiles
  place (area: string, batch: Batch, how: Placing): BatchOutcome
  remove (area: string, batch: RemovalBatch): BatchOutcome
  renameArea (from: string, to: string): boolean
  removeArea (area: string): boolean
  applyDirectoryStates (area: string, directories: readonly DirectoryState[]): void
  flush (): void
  reclaim (area: string, folder: string): void
  discard (folder: string | undefined): void
  partials (area: string): ReadonlyMap<string, number>
  flushedPartials (area: string, partials: ReadonlyMap<string, number>): void
  retainPartials (area: string, kept: ReadonlySet<string>): void
  bornMs (area: string): number
  list (area: string, directory: RelativePath, known?: Uint8Array): FoundEntry[]
  find (area: string, directory: RelativePath, names: readonly string[]): (FoundEntry | undefined)[]
  beginReread (id: number, area: string, path: RelativePath): boolean
  stepReread (id: number): RereadStep
  endReread (id: number): void
  digests (area: string, directory: RelativePath, names: readonly string[]): FileDigests
  versions (area: string, path: RelativePath): KeptEntry[]
  dropVersions (area: string, versions: readonly KeptEntry[]): void
  appendHistory (area: string, log: HistoryLog): void
  history (area: string): HistoryLog[]
  appendPoints (area: string, bytes: Uint8Array): void
  points (area: string): Uint8Array
  replacePoints (area: string, bytes: Uint8Array): void
  dropHistory (area: string, counts: readonly number[]): void
  beginRestore (id: number, area: string, request: RestoreRequest): number
  finishRestore (id: number, isFlushed: boolean): RestoreOutcome
  endRestore (id: number): void
}

export interface DiskWorkerData {
  readonly root: string
  /** Device and inode of the root; a worker that finds another directory there fails to start. */
  readonly device: bigint
  readonly inode: bigint
  readonly flushes: FlushMode
  readonly umask: number
  readonly foldsNames: boolean
  readonly times: TimeRange | undefined
}

/** Sent once by each worker, before any reply: from now on it can be terminated. */
export const LOADED = 'loaded'

export interface DiskRequest {
  readonly id: number
  readonly call: keyof DiskCalls
  readonly args: unknown[]
  /** A buffer that contains the arguments' bytes. It is transferred, and returned with the reply. */
  readonly lent: ArrayBuffer | undefined
}

export type DiskReply =
  & { readonly id: number, readonly lent: ArrayBuffer | undefined }
  & ({ readonly result: unknown } | { readonly error: ReplyError })

interface ReplyError {
  readonly code: ErrorCode
  readonly message: string
  readonly path: string | undefined
}
