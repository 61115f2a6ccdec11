import { isName } from '@filesync/protocol'
import type { Digest, Name, RelativePath, ReuseBuffer } from '@filesync/protocol'
import type { TimeRange } from './file-time.ts'
import type { Batch, EntryFailure, BatchOutcome, RemovalBatch, Section } from './section.ts'

/** Limits of a store. */
export interface StoreTraits {
  /** Whether names that differ only in case or Unicode form are the same name. */
  readonly foldsNames: boolean
  /** Whether names that Windows refuses are refused. */
  readonly windowsNames: boolean
  /** Whether it can hold symbolic links and return their targets as they were given; true by default. If not, only the index has them. */
  readonly holdsLinks?: boolean
  /** Whether it can give a file several names without copying its content; true by default. */
  readonly linksFiles?: boolean
  /** Whether nothing can be written: unfinished syncs are not completed, and damage that is found is not recorded. */
  readonly isReadOnly?: boolean
  /** The mtimes that it can store; all by default. */
  readonly times?: TimeRange
}

/** Small files to stage: the position of each content in the pack; the 32 bytes before it are its digest. */
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
  /** Name of the partial file, the same in later syncs. */
  readonly partial: string
  /** Bytes of the partial file to continue after. */
  readonly offset: number
  /** The current copy that `copy` reads. */
  readonly present: RelativePath
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly mode: number
  /** Disk space that it may use, if less than its size: it then fits only if it has holes. */
  readonly roomBytes?: number
}

/** The outcome for a large file: whole and in staging, a digest mismatch, or (with the reason) too large for the disk. */
export type StreamOutcome = 'WHOLE' | 'DIFFERENT' | { readonly lack: string }

/** A large file that is arriving. If the disk becomes full meanwhile, `finish` reports it for this file; the others continue. */
export interface ContentStream {
  /** Appends bytes and takes ownership of the buffer. Resolves when more can be written. */
  write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void>
  /** Appends bytes of the current copy. */
  copy (offset: number, lengthBytes: number): Promise<void>
  /** Appends zeros, as a hole if the store supports that. */
  hole (lengthBytes: number): Promise<void>
  /** Verifies the digest of the whole file. Unless the outcome is WHOLE, the file is removed. */
  finish (digest: Digest): Promise<StreamOutcome>
  /** Keeps what arrived as the partial file. */
  abandon (): Promise<void>
}

/** A stored file, open for reading. */
export interface StoredFileHandle {
  /** File descriptor; any thread of this process may read from it. */
  readonly fd: number
  readonly sizeBytes: number
  close (): Promise<void>
}

/** A file without a name, for what does not fit into memory. Its content is gone when it is closed or the process ends. */
export interface Scratch {
  /** Returns false if there is no room; nothing of the bytes is there then. */
  append (bytes: Uint8Array): boolean
  /** Throws ARCHIVE_UNAVAILABLE if they cannot be read. */
  read (at: number, lengthBytes: number): Uint8Array
  close (): void
}

/** A small file to be read whole, and what it must be. */
export interface SmallFile {
  readonly path: RelativePath
  /** Its folder in versions; undefined for the mirror. */
  readonly folder: string | undefined
  readonly sizeBytes: number
  readonly digest: Digest
}

/** Which file `openFile` opens, and what it must be. */
export interface OpenOptions {
  readonly folder?: string | undefined
  readonly digest?: Digest | undefined
}

/** A stored file to link into staging, because it moves or gets another name. */
export interface Relocation {
  readonly from: RelativePath
  readonly number: number
  /** Size and mtime as recorded. A file that differs was altered by hand and is not moved. */
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** The mode to have in staging. The name that the file has now keeps its own, so a file is copied if its mode differs. */
  readonly mode: number
}

/** A further name for content in staging. */
export interface StagedLink {
  /** Its number in staging. */
  readonly number: number
  /** The mode of the file with this name. */
  readonly mode: number
}

/** Mtime and mode of a directory, to be set after its content is complete. */
export interface DirectoryState {
  readonly directory: RelativePath
  readonly mtimeNs: bigint
  readonly mode: number
}

/** An entry as found in the store. */
export interface FoundEntry {
  readonly name: string
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly mode: number
  readonly target: string
  /** When it was created on the store; 0 if unknown. Copying the whole archive creates it again. */
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

/** A version: an entry that left the mirror, as found in the store. */
export interface KeptEntry {
  /** Its folder in versions, which `parseVersionFolder` reads. */
  readonly folder: string
  readonly path: RelativePath
  /** May also be a directory that was created only to hold what left it. */
  readonly found: FoundEntry
}

/** The history of one sync, as appended. */
export interface HistoryLog {
  readonly count: number
  readonly bytes: Uint8Array
}

/**
 * How a batch is placed: for the first time; `again` if all of it was placed and flushed before; `unflushed` if an unknown part was
 * placed and may not be on the disk, so that content found in place is verified before it counts.
 */
export type Placing = 'first' | 'again' | 'unflushed'

/**
 * Stores content: areas, staging and versions. Staged content is not visible; placed content replaces what was there as a whole. An
 * error of a whole request rejects with ARCHIVE_FULL or ARCHIVE_UNAVAILABLE. The failure of one entry is returned, even if the disk
 * became full while the entry was staged.
 */
export interface ContentStore {
  readonly traits: StoreTraits
  /** Creates the area if it does not exist. */
  openArea (area: string): Promise<void>
  /** Stages and verifies small files. Failures refer to sections and entries of the request. */
  stagePack (request: PackRequest, reuse?: ReuseBuffer): Promise<PackFailure[]>
  /** Begins to stage a large file. */
  openStream (request: StagedStreamRequest): Promise<ContentStream>
  /**
   * Opens a stored file so that the caller can read it; undefined if it cannot be opened. Absent if content is not in files on this
   * machine: changed files are then asked for whole.
   *
   * @param options.folder its folder in versions; the mirror by default
   * @param options.digest opens it only if its whole content, which is read, has this digest
   */
  openFile? (area: string, path: RelativePath, options?: OpenOptions): Promise<StoredFileHandle | undefined>
  /**
   * Reads small files whole; undefined for each that cannot be read or has not this size and digest. Absent like `openFile`.
   */
  readSmall? (area: string, files: readonly SmallFile[]): Promise<(Uint8Array | undefined)[]>
  /** Links stored files into staging, except altered ones. Failures refer to relocations as entries. */
  relocate (area: string, staging: string, relocations: readonly Relocation[]): Promise<EntryFailure[]>
  /**
   * Gives staged content further names in staging, to be placed like content of their own. They share the content, unless their modes
   * differ or the store cannot do that: then it is copied. Returns the positions of those for which there was no room.
   */
  linkStaged (staging: string, from: number, links: readonly StagedLink[]): Promise<number[]>
  /** Finds staged files that are noise and would replace plain content. Skips entries without content. */
  findSpoiled (area: string, staging: string, sections: readonly Section[]): Promise<SpoiledFiles>
  /**
   * Moves a batch to its place; what was there goes to versions. A file that keeps its content and gets another mtime or mode is separated
   * from other names of it, in the mirror and in versions, which do not get the same in this batch.
   */
  place (area: string, batch: Batch, how: Placing): Promise<BatchOutcome>
  /** Moves names to versions, and skips those that are gone. Failures refer to removals as sections and to names as entries. */
  remove (area: string, batch: RemovalBatch): Promise<BatchOutcome>
  /**
   * Gives an area another name, with its partials, versions and history. Resolves to false, and changes nothing, if there is content
   * under the new name. What is renamed already is skipped, so it can be repeated if it is interrupted.
   */
  renameArea (from: string, to: string): Promise<boolean>
  /** Removes an area without versions. Resolves to false, and removes nothing, if its mirror is not empty. */
  removeArea (area: string): Promise<boolean>
  /** Sets mtimes and modes of directories, deepest first. */
  applyDirectoryStates (area: string, directories: readonly DirectoryState[]): Promise<void>
  /** Resolves when everything that was staged, placed or removed before the call is on stable storage. */
  makeDurable (): Promise<void>
  /**
   * Turns whole large files in a staging folder back into partial files of their area, so that they need not be sent again. Call it
   * before discarding that folder.
   */
  reclaim (area: string, staging: string): Promise<void>
  /** Removes a staging folder; all of them if undefined. */
  discard (staging: string | undefined): Promise<void>
  /** Names of an area's partial files, and the bytes of each that can be continued after. Call it only while no sync of the area runs. */
  partials (area: string): Promise<ReadonlyMap<string, number>>
  /** Removes the partial files that are not in the set. */
  retainPartials (area: string, kept: ReadonlySet<string>): Promise<void>
  /** When the directory of an area was created on the store; 0 if unknown. */
  areaBirthtimeMs (area: string): Promise<number>
  /**
   * The entries of a directory.
   *
   * @param known a listing: files of it that are there as files may be left out, because looking at each of a million takes long
   */
  list (area: string, directory: RelativePath, known?: Uint8Array): Promise<FoundEntry[]>
  /** The entries at these names of a directory, in their order; undefined for none. */
  find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]>
  /** Reads a file again, bypassing caches if the store can; undefined if it cannot be read to its end. */
  reread (area: string, path: RelativePath, options?: RereadOptions): Promise<Reread | undefined>
  /** Digests of the content that files have now; undefined for a file that cannot be read. */
  digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]>
  /** Versions of a path and of everything below it, newest first. */
  versions (area: string, path: RelativePath): Promise<KeptEntry[]>
  /** Removes versions, given deepest first, and directories left empty. With none, removes what a crash left empty. */
  dropVersions (area: string, versions: readonly KeptEntry[]): Promise<void>
  /** Appends to the history of a sync; durable after `makeDurable`. */
  appendHistory (area: string, log: HistoryLog): Promise<void>
  /** The history of all syncs, oldest first. */
  history (area: string): Promise<HistoryLog[]>
  /** Appends to the record of an area's points; durable after `makeDurable`. */
  appendPoints (area: string, bytes: Uint8Array): Promise<void>
  /** The record of an area's points; empty if there is none. */
  points (area: string): Promise<Uint8Array>
  /** Replaces the record of an area's points as a whole. A crash leaves the old one or the new one. */
  replacePoints (area: string, bytes: Uint8Array): Promise<void>
  /** Removes the history of these syncs. */
  dropHistory (area: string, counts: readonly number[]): Promise<void>
  /** Opens a scratch file; undefined if there is none. Absent if the store has no place for one. */
  openScratch? (): Scratch | undefined
  /** Copies files to a directory outside the store. */
  restore (area: string, request: RestoreRequest): Promise<RestoreOutcome>
  /**
   * Throws ARCHIVE_UNAVAILABLE if the path of the store no longer leads to the content that is open, for example after its disk was
   * exchanged; with `disk`, even if its disk does not answer. Call it before reporting content as stored.
   */
  ensurePresent (check: 'path' | 'disk'): Promise<void>
  /** Space of the store that is open, even if its path leads elsewhere by now. */
  freeBytes (): Promise<{ readonly freeBytes: number, readonly totalBytes: number }>
  close (): Promise<void>
}

/** What {@link ContentStore.findSpoiled} found. */
export interface SpoiledFiles {
  /** Staged files that would replace another file. */
  readonly replacing: number
  /** Those that are noise (`isNoisy`) while the stored content is plain (`isPlain`). */
  readonly spoiled: readonly EntryPosition[]
}

/** An entry of a request: the positions of its section and of the entry in it. */
export interface EntryPosition {
  readonly section: number
  readonly entry: number
}

/** The result of reading a file again. */
export interface Reread {
  readonly digest: Digest
  /** `cache`: possibly from memory, because the store could not bypass its cache. */
  readonly from: 'disk' | 'cache'
}

/** A file of a pack that could not be staged. */
export interface PackFailure extends EntryFailure {
  readonly code: 'DIGEST_MISMATCH' | 'CHANGED_DURING_READ' | 'STORE_FAILED' | 'NO_ROOM'
}

/** What a file or link is known to have been when it was stored. */
export type ExpectedEntry =
  | { readonly kind: 'file', readonly digest: Digest, readonly sizeBytes: number, readonly mtimeNs: bigint, readonly mode: number }
  | { readonly kind: 'symlink', readonly target: string, readonly mtimeNs: bigint }

/** A file or link to restore, from the mirror or from versions. */
export interface RestoredFile {
  /** The path to restore it to, below the target directory. */
  readonly path: RelativePath
  /** Its path on the store; the same as `path` by default. */
  readonly from?: RelativePath
  /** Its folder in versions; undefined for the mirror. */
  readonly folder: string | undefined
  /** What it must be: a file with other content is not restored, and mtime and mode are set from this. A link is made from it alone. */
  readonly expected?: ExpectedEntry
  /** The path of an earlier file of the state that it is another name of. It becomes one, if that was restored as expected. */
  readonly nameOf?: RelativePath
}

/** Runs a step of reading when it may run. */
export type InTurn = <T>(step: () => Promise<T>) => Promise<T>

export interface RereadOptions {
  readonly signal?: AbortSignal | undefined
  /** Schedules each step of some megabytes, so that one large file does not delay others; by default all run at once. */
  readonly inTurn?: InTurn | undefined
}

/** Files and links of one directory to restore under their paths on the store. They stay encoded until they are restored. */
export interface RestoredSection {
  readonly directory: RelativePath
  /** Their entries as stored, as a listing without directories. */
  readonly listing: Uint8Array
  /** For each entry the digest that its content must have, 32 bytes; ignored for links. */
  readonly digests: Uint8Array
  /** For each entry its folder in versions; undefined for the mirror. Absent if all are in the mirror. */
  readonly folders?: readonly (string | undefined)[]
}

/** A state to restore: the sections first, then single files in their order. */
export interface RestoreRequest {
  readonly sections?: readonly RestoredSection[]
  readonly files: readonly RestoredFile[]
  readonly directories: readonly DirectoryState[]
  /** Absolute path of the directory to write to; created if it does not exist. */
  readonly to: string
  /** Replaces existing files. By default they are kept, and reported as failures unless they equal what would be written. */
  readonly overwrite?: boolean
}

export interface RestoreFailure {
  readonly path: string
  readonly message: string
  /** Set if the store does not have what is expected: `other` content, or `absent` if it has no readable file there. */
  readonly mismatch?: 'other' | 'absent'
}

export interface RestoreOutcome {
  readonly files: number
  readonly bytes: number
  readonly failures: readonly RestoreFailure[]
}
