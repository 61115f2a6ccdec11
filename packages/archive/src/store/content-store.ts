import { isName } from '@filesync/protocol'
import type { Digest, Name, RelativePath, ReuseBuffer } from '@filesync/protocol'
import type { TimeRange } from './file-time.ts'
import type { Batch, EntryFailure, BatchOutcome, RemovalBatch, Section } from './section.ts'

/** What the store cannot tell apart or hold. */
export interface StoreTraits {
  /** Names that differ in case or Unicode form only are one name. */
  readonly foldsNames: boolean
  /** Names that Windows refuses are refused. */
  readonly windowsNames: boolean
  /** Nothing can be written, so nothing is put in order and nothing that is found is recorded. */
  readonly isReadOnly?: boolean
  /** The times that it can hold; all of them by default. */
  readonly times?: TimeRange
}

/** Small files to stage: where each content stands in the pack; its digest stands in the 32 bytes before. */
export interface PackRequest {
  readonly staging: string
  readonly pack: Uint8Array<ArrayBuffer>
  readonly sections: readonly { readonly section: Section, readonly offsets: Uint32Array, readonly lengths: Uint32Array }[]
}

/** A large file to stage. */
export interface StagedStreamRequest {
  readonly area: string
  readonly staging: string
  /** Number of the content in staging. */
  readonly number: number
  /** Names the unfinished file across syncs. */
  readonly partial: string
  /** Bytes of the unfinished file to build on. */
  readonly offset: number
  /** The present copy, for `copy`. */
  readonly present: RelativePath
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly mode: number
  /** What it may take of the disk, where that is less than its size: it fits only if it has holes. */
  readonly roomBytes?: number
}

/** What became of a large file: whole and in staging, with another digest, or (why) too large for what the disk had left. */
export type StreamEnd = 'WHOLE' | 'DIFFERENT' | { readonly lack: string }

/** A large file that is arriving. That the disk becomes full meanwhile is the trouble of this file, which its end tells. */
export interface ContentStream {
  /** Takes the buffer. Resolves when there is room for more. */
  write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void>
  copy (offset: number, lengthBytes: number): Promise<void>
  /** Appends zeros, which take no room where the store can do that. */
  hole (lengthBytes: number): Promise<void>
  /** Anything but WHOLE leaves nothing of the file. */
  finish (digest: Digest): Promise<StreamEnd>
  /** Keeps what arrived under the partial's name. */
  abandon (): Promise<void>
}

/** A stored file that is open for reading. */
export interface StoredFileHandle {
  /** The number of the descriptor, which any thread of this process may read from. */
  readonly fd: number
  readonly sizeBytes: number
  close (): Promise<void>
}

/** A stored file that goes to staging under a second name, because it moves. */
export interface Relocation {
  readonly from: RelativePath
  readonly number: number
  /** As it was given them; what has others now was altered by hand and stays where it is. */
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** The one it is to have; under its old name it has that, too. */
  readonly mode: number
}

/** The time and mode of a directory whose content is complete. */
export interface DirectoryState {
  readonly directory: RelativePath
  readonly mtimeNs: bigint
  readonly mode: number
}

/** A file or directory as the store finds it. */
export interface FoundEntry {
  readonly name: string
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly mode: number
  readonly target: string
  /** When it was made on the store, as far as that knows; 0 where it does not. A copy of the whole archive makes it anew. */
  readonly birthtimeMs: number
}

/** A found entry whose name an archive may hold. */
export interface NamedEntry extends FoundEntry {
  readonly name: Name
}

/** Whether an archive may hold the name of an entry: anyone may have put it into the mirror. */
export function isNamed (found: FoundEntry): found is NamedEntry {
  return isName(found.name)
}

/** Something that left its place, as the store holds it. */
export interface KeptEntry {
  /** The folder in versions that it lies in, as `parseVersionFolder` reads it. */
  readonly folder: string
  readonly path: RelativePath
  /** Of a directory also one that was made to hold what left it. */
  readonly found: FoundEntry
}

/** What is remembered of one sync, as it was appended. */
export interface HistoryLog {
  readonly count: number
  readonly bytes: Uint8Array
}

/**
 * How a batch is placed: for the first time; `again` if all of it was placed and flushed before; `unflushed` if an unknown part of
 * it was placed and may not be on the disk: what is found in its place is read before it counts.
 */
export type Placing = 'first' | 'again' | 'unflushed'

/**
 * Where content lives: areas, staging and versions, on one store. What is staged is not visible; what is placed takes
 * its place as a whole. Whole-request trouble rejects with ARCHIVE_FULL or ARCHIVE_UNAVAILABLE; trouble with one entry is
 * returned, and so is that the disk became full while one was staged.
 */
export interface ContentStore {
  readonly traits: StoreTraits
  /** Makes the area where it does not exist yet. */
  openArea (area: string): Promise<void>
  /** Stages and verifies small files. Failures count sections and entries as the request does. */
  stagePack (request: PackRequest, reuse?: ReuseBuffer): Promise<PackFailure[]>
  openStream (request: StagedStreamRequest): Promise<ContentStream>
  /**
   * Opens a stored file to read it beside the store; undefined where it cannot be opened. Absent where content is not in
   * files of this machine: what changed is asked for whole then.
   */
  openFile? (area: string, path: RelativePath): Promise<StoredFileHandle | undefined>
  /** Gives stored files a second name in staging, those that nobody altered. Failures count relocations as entries. */
  relocate (area: string, staging: string, relocations: readonly Relocation[]): Promise<EntryFailure[]>
  /** Looks which files in staging are noise that would take the place of plain content. Entries without content are passed over. */
  findSpoiled (area: string, staging: string, sections: readonly Section[]): Promise<SpoiledFiles>
  /** Puts a batch in its place; what stood there goes to versions. */
  place (area: string, batch: Batch, how: Placing): Promise<BatchOutcome>
  /** Moves names to versions; passes over those that are gone. Failures count removals as sections and names as entries. */
  remove (area: string, batch: RemovalBatch): Promise<BatchOutcome>
  /** Sets times and modes, deepest first. */
  applyDirectoryStates (area: string, directories: readonly DirectoryState[]): Promise<void>
  /** Resolves when everything that was staged, placed or removed before the call is on stable storage. */
  makeDurable (): Promise<void>
  /**
   * Makes large files that are whole in a folder of staging unfinished ones of their area again, so that they need not be
   * sent once more. Called before that folder is discarded.
   */
  reclaim (area: string, staging: string): Promise<void>
  /** Forgets what is in a folder of staging, or in all of them. */
  discard (staging: string | undefined): Promise<void>
  /** Names of the unfinished large files of an area, and how much of each can be built on. To be called while no sync of it runs. */
  partials (area: string): Promise<ReadonlyMap<string, number>>
  /** Drops unfinished files that are not in the set. */
  keepPartials (area: string, kept: ReadonlySet<string>): Promise<void>
  /** When the folder of an area was made on the store; 0 where it does not know. */
  areaBirthtimeMs (area: string): Promise<number>
  list (area: string, directory: RelativePath): Promise<FoundEntry[]>
  /** What stands at these names of a directory now, in their order; undefined for nothing. */
  find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]>
  /** Reads a file again, past caches where the store can; undefined for one that cannot be read to its end. */
  reread (area: string, path: RelativePath, options?: RereadOptions): Promise<Reread | undefined>
  /** Digests of files as they are on the store now; undefined for one that cannot be read. */
  digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]>
  /** What left a path and what lies below it, newest first. */
  versions (area: string, path: RelativePath): Promise<KeptEntry[]>
  /** Drops versions, those deepest below first, and what is left empty. Without any, what a crash left empty. */
  dropVersions (area: string, versions: readonly KeptEntry[]): Promise<void>
  /** Appends to what is remembered of a sync; durable after `makeDurable`. */
  appendHistory (area: string, log: HistoryLog): Promise<void>
  /** What is remembered of syncs, oldest first. */
  history (area: string): Promise<HistoryLog[]>
  /** Forgets what is remembered of these syncs. */
  dropHistory (area: string, counts: readonly number[]): Promise<void>
  /** Copies the state of a path into a directory outside the store. */
  restore (area: string, request: RestoreRequest): Promise<RestoreOutcome>
  /**
   * Throws ARCHIVE_UNAVAILABLE if the place of the store no longer leads to the content that is held open, such as after its disk
   * was exchanged; with `disk` as well if its disk does not answer. To be called before content is said to be stored.
   */
  ensurePresent (check: 'path' | 'disk'): Promise<void>
  /** Of the store that is held open, wherever its place leads by now. */
  freeBytes (): Promise<{ readonly freeBytes: number, readonly totalBytes: number }>
  close (): Promise<void>
}

/** What {@link ContentStore.findSpoiled} found. */
export interface SpoiledFiles {
  /** Files in staging whose place holds another file now. */
  readonly replacing: number
  /** Those of them that are noise while the present content is plain, as `isNoisy` and `isPlain` have it. */
  readonly spoiled: readonly EntryPlace[]
}

/** An entry, counted as the request does. */
export interface EntryPlace {
  readonly section: number
  readonly entry: number
}

/** A file as it was read again. */
export interface Reread {
  readonly digest: Digest
  /** `cache`: perhaps from memory, because the store could not be told to read past it. */
  readonly from: 'disk' | 'cache'
}

/** A file of a pack that was not staged. */
export interface PackFailure extends EntryFailure {
  readonly code: 'DIGEST_MISMATCH' | 'CHANGED_DURING_READ' | 'STORE_FAILED' | 'NO_ROOM'
}

/** What a file or link is known to have been. */
export type ExpectedEntry =
  | { readonly kind: 'file', readonly digest: Digest, readonly sizeBytes: number, readonly mtimeNs: bigint, readonly mode: number }
  | { readonly kind: 'symlink', readonly target: string, readonly mtimeNs: bigint }

/** A file or link to bring back: one of the mirror, or of versions. */
export interface RestoredFile {
  /** The path it is to have. */
  readonly path: RelativePath
  /** The path at which the store has it; the same one by default. */
  readonly from?: RelativePath
  /** The folder in versions that it is taken from; undefined for the mirror. */
  readonly folder: string | undefined
  /** What it has to be: a file of other content is not brought back, and time and mode are these. A link is made from it alone. */
  readonly expected?: ExpectedEntry
}

/** Does a step of reading when it may be done. */
export type InTurn = <T>(step: () => Promise<T>) => Promise<T>

export interface RereadOptions {
  readonly signal?: AbortSignal | undefined
  /** Asked for each step, of some megabytes, so that one large file does not hold up others; at once by default. */
  readonly inTurn?: InTurn | undefined
}

/** A state to bring back. */
export interface RestoreRequest {
  readonly files: readonly RestoredFile[]
  readonly directories: readonly DirectoryState[]
  /** Absolute path of the directory to write into; made where it does not exist. */
  readonly to: string
  /** Replaces what stands there. Without it that stays, and is a failure unless it is what would be written. */
  readonly overwrite?: boolean
}

export interface RestoreFailure {
  readonly path: string
  readonly message: string
  /** What the store has in its place is not what was stored; `absent` where it has no file there that can be read. */
  readonly mismatch?: 'other' | 'absent'
}

export interface RestoreOutcome {
  readonly files: number
  readonly bytes: number
  readonly failures: readonly RestoreFailure[]
}
