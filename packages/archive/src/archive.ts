import type { Clock, Digest, Name, Problem, RelativePath } from '@filesync/protocol'
import type { PastTree } from './past-tree.ts'
import type { FoundEntry, InTurn, RestoreOutcome } from './store/content-store.ts'
import type { ExistingCopy } from './store/existing-copy.ts'
import type { MakeSignature, PlanRun, Sync, SyncOptions, SyncScope } from './sync-contract.ts'

/** The areas of all clients in one directory. */
export interface Archive {
  /** Identifies the archive wherever it is mounted or copied to; stored in the archive itself. */
  readonly id: string
  /** Whether nothing can be written to it. Damage that is found is then not recorded. */
  readonly isReadOnly: boolean
  /** Opens an area, and creates it if it does not exist. Throws NAME_INVALID. */
  area (name: string): Promise<Area>
  /**
   * Gives an area another name, with its versions and history; does nothing if that was done before. It waits for a sync of the area to
   * end. If it is interrupted, opening the archive again completes it. Throws NAME_INVALID, and USAGE if the new name is taken.
   */
  renameArea (from: string, to: string): Promise<void>
  /**
   * Moves all files of an area to versions, from where they leave with their retention, even if the archive keeps deleted files. It
   * waits for a sync of the area to end. Resolves to the number of files moved; 0 if there is no such area.
   */
  retireArea (name: string): Promise<number>
  /** Removes an area that has no files and no versions any more. Resolves to whether it is gone. */
  dropArea (name: string): Promise<boolean>
  /**
   * Another machine continues an area from now on: its files have other file ids, and perhaps other times, so the next sync compares
   * digests before it asks for content. It waits for a sync of the area to end.
   */
  inheritArea (name: string): Promise<void>
  /** Names of the areas that have been synced. */
  areas (): readonly string[]
  /** Names that no new client may get: areas, and everything else in the root directory of the archive. */
  takenNames (): Promise<readonly string[]>
  /**
   * Throws ARCHIVE_UNAVAILABLE if the archive's path no longer leads to the archive that is open; with `disk`, even if its disk does
   * not answer.
   */
  ensurePresent (check: 'path' | 'disk'): Promise<void>
  /** Free disk space. Throws ARCHIVE_UNAVAILABLE if the archive is no longer at its path, as all operations on content do. */
  room (): Promise<DiskRoom>
  /**
   * Adopts a directory of this machine into an area, as `Area.adopt` does. Throws USAGE if it is not a directory, or if it is in
   * the archive or contains it.
   */
  adopt (area: string, directory: string, options?: AdoptOptions): Promise<AdoptOutcome>
  /** Aborts everything in progress, which ends with ABORTED. Opening the archive again completes or cleans up unfinished work. */
  close (): Promise<void>
}

export interface ArchiveSettings {
  /** How long replaced and deleted files are kept, milliseconds. */
  readonly keepMs: number
  /** What happens to files that the client removed: `mirror` removes them from the mirror, `archive` keeps them. */
  readonly deletions: 'mirror' | 'archive'
  /** Free space that syncs leave unused, bytes; max(1 GiB, 5 %) by default. */
  readonly reserveBytes?: number
  /** Largest size of one client's mirror, without versions, bytes; unlimited by default. */
  readonly quotaBytes?: number
  /** Called when an area is read to rebuild its index, which takes long while its client waits. */
  readonly onRebuild?: (progress: RebuildProgress) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Reports that the content of an area is being read because the index has nothing of it, and when that is done. */
export type RebuildProgress =
  & { readonly area: string }
  & ({ readonly state: 'begun' } | { readonly state: 'done', readonly files: number, readonly bytes: number })

/** Space on the disk of an archive. */
export interface DiskRoom {
  readonly totalBytes: number
  readonly freeBytes: number
  /** The part of the free space that syncs leave unused. */
  readonly reserveBytes: number
}

/** The mirror of one client, its versions and its history. */
export interface Area {
  readonly name: string
  /**
   * Begins a sync. Throws SERVER_BUSY while another sync of the area runs.
   */
  beginSync (options?: SyncOptions): Promise<Sync>
  /** Begins to compute what a sync would do. Nothing is changed. */
  beginPlanRun (scope?: SyncScope): Promise<PlanRun>
  /** Allows the next sync to pass the brake. */
  release (): Promise<void>
  /** Set while the brake holds: when and why it halted a sync. */
  readonly halted: {
    readonly atMs: number
    /** Files that would leave the mirror. */
    readonly vanishing: number
    /** Files whose plain content noise would replace. */
    readonly spoiled?: number
    /** Files in the mirror, or in the folder. */
    readonly of: number
    /** Set if the files of one folder alone are too many. */
    readonly folder?: string
  } | undefined
  /** Looks up one stored file; undefined if there is none. */
  stat (path: RelativePath): StoredFile | undefined
  /**
   * Looks up many stored files, directory by directory and not in the order of `paths`. Each directory is read once; `stat` reads
   * it for each call.
   */
  lookup (paths: Iterable<RelativePath>): Iterable<{ readonly path: RelativePath, readonly file: StoredFile }>
  /** Size of the mirror, without versions, after the last finished sync. */
  size (): Promise<MirrorSize>
  /**
   * Compares copies that others hold with the stored ones. Resolves to one result for each copy, in their order; does not wait for
   * a sync. The next sync asks again for what turns out to be damaged, as after `verify`.
   */
  checkSafe (copies: readonly OtherCopy[], options?: SafeCheckOptions): Promise<readonly SafeCheckResult[]>
  /**
   * As `checkSafe`, for pages of many files. Resolves for each page to one result for each of its files, in name order, if all are safe;
   * otherwise to undefined, and each file has to be checked on its own.
   */
  checkSafePages (pages: readonly OtherPage[], options?: SafeCheckOptions): Promise<readonly (readonly SafeCheckResult[] | undefined)[]>
  /**
   * Points whose state can still be restored, newest first. With `path`, only those that changed something at it or below it, and
   * their numbers of files and bytes are those at it or below it. Throws USAGE if `before` is not the id of a point.
   *
   * @param options.before the id of a point: only older ones
   * @param options.limit the most points to return; all by default
   */
  points (options?: PointsOptions): Promise<{ readonly points: readonly Point[], readonly hasMore: boolean }>
  /**
   * Opens the state of a path at a moment for reading; close it after use. Undefined if there was nothing at the path at that moment.
   * Throws USAGE for a point that is unknown or no longer kept.
   */
  openPast (options: { readonly path: RelativePath, readonly at: Moment }): Promise<PastTree | undefined>
  /** Former states of a path and of everything below it, newest first. */
  versions (path: RelativePath): Promise<readonly Version[]>
  /**
   * Copies the state of a path at a moment to a directory. Content is verified if its digest is known. A damaged file is restored
   * from another copy of the same content if there is one. Otherwise it is a failure, and what is left of it is written next to its
   * place. Throws USAGE if there was nothing at the path at that moment, or for a point that is unknown or no longer kept.
   */
  restore (options: RestoreOptions): Promise<RestoreReport>
  /** Damage that is known and not repaired yet: found by `verify`, `checkSafe`, `checkMirror` or `restore`. */
  damage (): DamageReport
  /** Reads all stored content again and compares it with its digests. */
  verify (options?: VerifyOptions): Promise<VerifyOutcome>
  /**
   * Adopts what the area or a folder of it lacks from an existing copy, or what was placed in its directory by hand ('in place'), so
   * that the client need not send it. Throws USAGE for 'in place' if the area or the folder already holds files, and for a folder whose
   * name differs only in spelling from that of another one.
   */
  adopt (copy: ExistingCopy | 'in place', options?: AdoptOptions): Promise<AdoptOutcome>
  /** Rebuilds the index by reading the mirror: after the index was lost, or for a copy that was placed there by hand. */
  rebuild (): Promise<{ readonly files: number, readonly bytes: number }>
  /**
   * Compares the next directories of the mirror with the index, by size and mtime; the next call continues after them. The next
   * sync repairs what others changed, removed or added. Ends early if a sync begins.
   */
  checkMirror (limits: MirrorLimits): Promise<ExternalChanges>
  /**
   * Makes the signatures of large files that arrived whole since the last call, so that their first difference need not wait for
   * one. Ends early if a sync begins; the next call continues. Resolves to the number of signatures made.
   *
   * @param fromBytes smaller files are signed only when a signature is needed
   */
  signLarge (make: MakeSignature, fromBytes: number): Promise<number>
  /** Removes expired versions, but none while the brake holds. Resolves to the number of versions removed. */
  prune (): Promise<number>
}

/** A file or link that someone else holds, to be compared with the stored one. */
export interface OtherCopy {
  readonly path: RelativePath
  readonly kind: 'file' | 'symlink'
  /** Digest of a file's content, or of a link's target in UTF-8. */
  readonly digest: Digest
}

/** The files and links that someone else holds in a directory, from one name to another. */
export interface OtherPage {
  readonly directory: RelativePath
  readonly first: Name
  readonly last: Name
  /** How many there are. */
  readonly files: number
  /** `safePageDigest` of them. */
  readonly digest: Digest
}

/** The result of a safe check for one copy; the verdicts are those of SAFE_ANSWER in docs/protocol.md. */
export interface SafeCheckResult {
  readonly verdict: 'safe' | 'absent' | 'different' | 'altered' | 'damaged'
  /** When the content became durable, milliseconds since the Unix epoch; absent for links. */
  readonly storedAtMs?: number
  /** When the content was last verified, milliseconds since the Unix epoch; absent if never. */
  readonly verifiedAtMs?: number
  /** Where the content was read from for this check; absent if it was not read. */
  readonly from?: 'disk' | 'cache'
}

export interface SafeCheckOptions {
  /** Reads the stored content of each copy again before calling it safe; false by default. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
  /** Schedules each step of reading content again. */
  readonly inTurn?: InTurn
}

/** One former state of a path. */
export interface Version {
  /**
   * The last moment at which it was in the mirror, milliseconds since the Unix epoch by the server's clock. `restore` at this time
   * brings it back, even if the clock was wrong.
   */
  readonly untilMs: number
  readonly path: RelativePath
  readonly kind: FoundEntry['kind']
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** The id of the last point whose state has it; absent if it came and went between two points. */
  readonly point?: string
}

/**
 * The state of an area after one completed sync that changed something. What a sync that ended early changed counts as changed by the
 * next one that completed. The numbers compare the files of two states path by path: a renamed file is removed at its old path and added
 * at its new one.
 */
export interface Point {
  /** Short, unique in the area: `p` and the number of the sync, such as `p17`. */
  readonly id: string
  /** When the sync completed, milliseconds since the Unix epoch by the server's clock. */
  readonly atMs: number
  /** Files at paths that had none before. */
  readonly added: number
  /** Files at paths that had a file with other content before. */
  readonly replaced: number
  /** Files that were at paths that have none now. */
  readonly removed: number
  /** Sizes of the files that were added or replaced. */
  readonly bytes: number
}

export interface PointsOptions {
  readonly path?: RelativePath
  readonly before?: string
  readonly limit?: number
}

/**
 * A moment of the history: the id of a point, or a time in milliseconds since the Unix epoch by the server's clock. Infinity is the present
 * state. A time in the future is refused with USAGE, unless it was shown: then the clock has been set back since.
 */
export type Moment = { readonly point: string } | { readonly ms: number }

/** What the index knows of a stored file. */
export interface StoredFile {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly storedAtMs: number
  /** 0 if it was never verified. */
  readonly verifiedAtMs: number
}

export interface VerifyOutcome {
  readonly files: number
  readonly bytes: number
  /** One for each damaged file, including those found earlier and not repaired yet; the next sync asks for them again. */
  readonly problems: readonly Problem[]
  /** False if the area's directory has content but the index knew none of it, so there was nothing to compare with. */
  readonly isKnown: boolean
}

/** Damage of a mirror that is known and not repaired yet. */
export interface DamageReport {
  readonly count: number
  /** The first of it, ordered by path. */
  readonly first: readonly {
    readonly path: RelativePath
    readonly what: 'altered' | 'damaged' | 'missing'
    readonly foundAtMs: number
  }[]
}

export interface RestoreOptions {
  /** The file or directory to restore; the empty path restores everything. */
  readonly path: RelativePath
  /** The moment whose state is restored. */
  readonly at: Moment
  /** Absolute path of a directory outside the archive, or a function that returns it. */
  readonly to: string | ((at: RestoredMoment) => string)
  /** Replaces existing files. By default they are kept, and reported as failures unless they equal what would be written. */
  readonly overwrite?: boolean
}

/** What was restored. */
export interface RestoreReport extends RestoreOutcome {
  readonly at: RestoredMoment
  /** The directory that it was restored to. */
  readonly to: string
}

/** A moment, and the point whose state it is; `point` is undefined if a sync was changing the area at that moment. */
export interface RestoredMoment {
  readonly point: string | undefined
  readonly ms: number
}

export interface AdoptOptions {
  /** The folder of the area that the copy becomes; by default it is the area itself. */
  readonly folder?: Name
  readonly signal?: AbortSignal
}

export interface AdoptOutcome {
  /** Files that were adopted, and their total size in bytes. */
  readonly files: number
  readonly bytes: number
  /** Entries that were skipped because the area already had one at their paths. */
  readonly held: number
  /** The first problems of entries that were not adopted; `problemCount` is the number of all of them. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

export interface MirrorSize {
  readonly files: number
  readonly bytes: number
}

/** How much of a mirror one call of `checkMirror` compares. */
export interface MirrorLimits {
  readonly directories: number
  /**
   * Number of entries to check one by one. If set, only the mtimes of the directories are compared, which shows whether names were
   * added, removed or exchanged. If absent, all entries of the directories are checked.
   */
  readonly entries?: number
}

/** Changes that others than the archive made to the mirror. */
export interface ExternalChanges {
  readonly changed: RelativePath[]
  readonly removed: RelativePath[]
  readonly added: RelativePath[]
}

export interface VerifyOptions {
  readonly signal?: AbortSignal
  /** Called with the amount read so far. */
  readonly onProgress?: (soFar: { readonly files: number, readonly bytes: number }) => void
}
