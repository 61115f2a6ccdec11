import type { Amount, ArrivedListing, Clock, Digest, DirectoryEntry, Pace, Problem, RelativePath, StagingArea, Task } from '@filesync/protocol'
import type { FoundEntry, InTurn, RestoreOutcome } from './store/content-store.ts'
import type { ExistingCopy } from './store/existing-copy.ts'

/** A directory whose listing is to be asked for. */
export interface WantedListing {
  readonly index: number
  readonly entry: DirectoryEntry
}

/** A file or link that somebody else holds too. */
export interface OtherCopy {
  readonly path: RelativePath
  readonly kind: 'file' | 'symlink'
  /** Of a file's content; of a link, of its target in UTF-8. */
  readonly digest: Digest
}

/** What the archive can say of its own copy; the verdicts are those of SAFE_ANSWER in docs/protocol.md. */
export interface SafeResult {
  readonly verdict: 'safe' | 'absent' | 'different' | 'altered' | 'damaged'
  /** Since when it is durable, milliseconds since the Unix epoch; not known of links. */
  readonly storedAtMs?: number
  /** When it was last read again and found whole; absent for never. */
  readonly verifiedAtMs?: number
  /** Where it was read from for this answer. */
  readonly from?: 'disk' | 'cache'
}

export interface SafeCheckOptions {
  /** Reads each copy again before it is called safe. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
  /** Asked for each step of reading copies again. */
  readonly inTurn?: InTurn
}

/**
 * Makes the signature of an open file that differences are made against; undefined where it cannot be read to its end.
 * The file is closed when it settles.
 */
export type MakeSignature = (file: { readonly fd: number, readonly sizeBytes: number }) => Promise<Uint8Array | undefined>

/** The stored copy of a file that a task asks for. */
export interface PresentFile {
  readonly sizeBytes: number
  /** The one that was kept, or one that is made now and kept until the file is replaced; undefined where none can be made. */
  signature (make: MakeSignature): Promise<Uint8Array | undefined>
}

export interface SyncPlan {
  /** In the order of listings and entries; the n-th is number n. Ends early when the brake holds, which `finish` tells. */
  readonly tasks: Iterable<Task>
  readonly taskCount: number
  /** Tasks that follow those, when all are answered: for files whose digest turned out to be another one. */
  retryTasks (): Iterable<Task>
  /** The file that a task asks for. Throws TASK_INVALID where there is no such task. */
  describe (task: number): { readonly path: RelativePath, readonly sizeBytes: number, readonly mtimeNs: bigint }
  /** Sum of the sizes of the files that are wanted. */
  readonly bytes: number
  /** Files whose content is here already, under another path. */
  readonly renamed: number
  /** Files that will leave the mirror for versions. */
  readonly vanishing: number
  /** Files that there is no room for; each is a problem, and none of the tasks asks for them. */
  readonly unfit: number
}

export interface PlanOptions {
  /** CLIENT_FILES_INFO.complete: whether what is not listed is gone. */
  readonly complete: boolean
  /** Whether the client understands RESUME tasks; true unless told. */
  readonly resume?: boolean
  /**
   * Whether the client may be asked for digests alone: of files that may be here already, because they were taken over by
   * hand and have another time. False unless told.
   */
  readonly digest?: boolean
  /** Whether the client can leave holes out, so that a file may be asked for that fits only if it has some. */
  readonly holes?: boolean
}

export interface SyncOutcome {
  readonly files: number
  readonly bytes: number
  readonly deleted: number
  readonly renamed: number
  /** The first of them, and how many there were. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

/** How much of a sync is durable by now. */
export interface StoredSoFar {
  readonly files: number
  readonly bytes: number
  readonly renamed: number
  /** Files that left the mirror; counted when a sync is abandoned, not before. */
  readonly deleted: number
}

/** One sync of one area, from the comparison to the committed tree. */
export interface Sync extends StagingArea {
  /** Of the stored tree; equal to the client's when there is nothing to do. */
  readonly rootDigest: Digest
  /** Also of a sync that failed. */
  readonly stored: StoredSoFar
  /** Told after every batch of files that became durable, and when a sync is abandoned, where more came of it. */
  onStored: ((stored: StoredSoFar) => void) | undefined
  /**
   * Takes in a listing whose digest was checked. Yields the directories to ask for next, and undefined at moments at which it could
   * pause. Throws LIMIT_EXCEEDED where all that was compared takes more memory than one sync may.
   */
  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined>
  /** To be called once, when all listings have arrived. Throws HALTED when too much would vanish. Files that do not fit are problems. */
  plan (options: PlanOptions): SyncPlan
  /**
   * What is stored at the path of a file that a task asks for, to compare it with; undefined where there is nothing, or a
   * difference against it has failed before. To be called behind `plan`.
   */
  present (task: number): PresentFile | undefined
  /**
   * Resolves when all that it reports is durable. Tasks that were not answered are wanted again next time. Throws HALTED
   * when too much content would be replaced by noise; nothing of that was, and the rest is durable. Where the client leaves before
   * all is in its place, ends the sync as `abandon` does, and throws why it left.
   */
  finish (): Promise<SyncOutcome>
  /** Ends the sync early. What was staged is committed, nothing is deleted. */
  abandon (): Promise<void>
}

/** One earlier state of a path. */
export interface Version {
  /**
   * The last moment at which it was there, milliseconds since the Unix epoch by the server's clock. `restore` at that time brings it back,
   * also if the clock was wrong.
   */
  readonly untilMs: number
  readonly path: RelativePath
  readonly kind: FoundEntry['kind']
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** What a sync would do. */
export interface PlanRunOutcome {
  /** Files that would be asked for and that the area has nothing of, and those that it has another state of; their whole size. */
  readonly added: Amount
  readonly changed: Amount
  /** Files that would leave the mirror. */
  readonly deleted: Amount
  /** Files whose content is here already, under another path. */
  readonly renamed: number
  /** The first of them, and how many there would be. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What would stop the sync before it stores anything, for people. */
  readonly obstacle: string | undefined
}

/** A look at what a sync would do. */
export interface PlanRun {
  /** As that of a sync. */
  readonly rootDigest: Digest
  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined>
  /** To be called once, when all listings have arrived. */
  finish (options: Pick<PlanOptions, 'complete'>, pace?: Pace): Promise<PlanRunOutcome>
}

/** A stored file as `stat` tells it. */
export interface StoredFile {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly storedAtMs: number
  /** 0 for never. */
  readonly verifiedAtMs: number
}

export interface VerifyOutcome {
  readonly files: number
  readonly bytes: number
  /** Not as they were stored, also those that were found before and are not mended; they are wanted again at the next sync. */
  readonly problems: readonly Problem[]
  /** False where the folder of the area has content of which nothing was known: there was nothing to compare it with. */
  readonly isKnown: boolean
}

/** What is known to be damaged in a mirror and not mended. */
export interface DamageReport {
  readonly count: number
  /** The first of it, in the order of paths. */
  readonly first: readonly { readonly path: RelativePath, readonly what: 'altered' | 'damaged' | 'missing', readonly foundAtMs: number }[]
}

export interface RestoreOptions {
  /** What to bring back: a file, a directory, or everything (the empty path). */
  readonly path: RelativePath
  /** The moment to go back to; milliseconds since the Unix epoch. */
  readonly atMs: number
  /** Absolute path of a directory outside the archive. */
  readonly to: string
  /** Replaces what stands there. Without it that stays, and is a failure unless it is what would be written. */
  readonly overwrite?: boolean
}

export interface AdoptOptions {
  readonly signal?: AbortSignal
}

export interface AdoptOutcome {
  /** Files that were taken over, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Entries that the area held already; those of the copy were left alone. */
  readonly held: number
  /** The first of what was not taken over of the copy, and how much there was. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

/** The mirror of one client, its versions and what is known of them. */
export interface Area {
  readonly name: string
  /**
   * One at a time: throws SERVER_BUSY while another sync of the area is under way.
   *
   * @param options.client aborted when the client has left: what it sent is stored, and nothing else is done for it
   */
  beginSync (options?: { readonly client?: AbortSignal }): Promise<Sync>
  /** Looks at what a sync would do, and does nothing of it. */
  beginPlanRun (): Promise<PlanRun>
  /** Lets the next sync pass the brake. */
  release (): Promise<void>
  /** Set while the brake holds. */
  readonly halted: { readonly atMs: number, readonly vanishing: number, readonly spoiled?: number, readonly of: number } | undefined
  /** A stored file, or undefined. */
  stat (path: RelativePath): StoredFile | undefined
  /**
   * The stored ones of many files, directory by directory and not in the order of `paths`: each directory is read once,
   * where `stat` reads it for every question.
   */
  lookup (paths: Iterable<RelativePath>): Iterable<{ readonly path: RelativePath, readonly file: StoredFile }>
  /** Files of the mirror and their bytes, without versions, as of the last sync that came to its end. */
  size (): Promise<MirrorSize>
  /**
   * Compares copies of others with what is stored, one verdict for each; waits for no sync. What turns out to be damaged is
   * asked for again at the next sync, as after `verify`.
   */
  checkSafe (copies: readonly OtherCopy[], options?: SafeCheckOptions): Promise<readonly SafeResult[]>
  /** Earlier states of a path and of what lies below it, newest first. */
  versions (path: RelativePath): Promise<readonly Version[]>
  /**
   * Writes what a path was at a moment to a directory. Content is proven by its digest where that is known. What is damaged is
   * taken from another copy where there is one; otherwise it is a failure, and what is left of it is written beside its place.
   */
  restore (options: RestoreOptions): Promise<RestoreOutcome>
  /** What is known to be damaged and not mended: by `verify`, by `attest`, by `checkMirror` and by restoring. */
  damage (): DamageReport
  /** Reads everything again and compares it with the digests. */
  verify (options?: VerifyOptions): Promise<VerifyOutcome>
  /**
   * Takes over what the area lacks from a copy that exists already, or what was put into its folder by hand, so that the
   * client need not send it. Throws USAGE for the latter where the area holds files already.
   */
  adopt (copy: ExistingCopy | 'in place', options?: AdoptOptions): Promise<AdoptOutcome>
  /** Makes the index again by reading the mirror, as after the loss of the index or for a copy that was brought by hand. */
  rebuild (): Promise<{ readonly files: number, readonly bytes: number }>
  /**
   * Compares the next directories of the mirror with the index, by size and time, and goes on from there at the next call.
   * What others changed, removed or added there is put right by the next sync. Ends early for a sync.
   */
  checkMirror (limits: MirrorLimits): Promise<ExternalChanges>
  /**
   * Makes the signatures of large files that arrived whole since the last call, so that their first difference need not wait
   * for it. Ends early for a sync, and goes on at the next call. Returns how many were made.
   *
   * @param fromBytes files below are left for when they are needed
   */
  signLarge (make: MakeSignature, fromBytes: number): Promise<number>
  /** Drops versions that are past keeping, but none while the brake holds. Returns how many. */
  prune (): Promise<number>
}

export interface MirrorSize {
  readonly files: number
  readonly bytes: number
}

/** What the disk of an archive has. */
export interface DiskRoom {
  readonly totalBytes: number
  readonly freeBytes: number
  /** Of the free bytes, those that syncs leave alone. */
  readonly reserveBytes: number
}

/** How much of a mirror is compared in one go. */
export interface MirrorLimits {
  readonly directories: number
  /**
   * Entries that are looked at one by one. Of directories only the times are compared then, which tells what was added, removed
   * or exchanged; without it, all entries of the directories are looked at.
   */
  readonly entries?: number
}

/** What was done to the mirror by others than the archive. */
export interface ExternalChanges {
  readonly changed: RelativePath[]
  readonly removed: RelativePath[]
  readonly added: RelativePath[]
}

export interface VerifyOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (soFar: { readonly files: number, readonly bytes: number }) => void
}

/** Many areas under one root. */
export interface Archive {
  /** By which it is known again wherever it is mounted or copied to; kept in the archive itself. */
  readonly id: string
  /** Whether nothing can be written to it; what is found is not recorded then. */
  readonly isReadOnly: boolean
  /** Opens an area and makes it where it does not exist. Throws NAME_INVALID. */
  area (name: string): Promise<Area>
  /** Names of the areas that have been synced. */
  areas (): readonly string[]
  /** Names that no new client may be given: areas, and whatever else stands in the root. */
  takenNames (): Promise<readonly string[]>
  /**
   * Throws ARCHIVE_UNAVAILABLE if its path no longer leads to the archive that is held open; with `disk` as well if its disk does not
   * answer.
   */
  ensurePresent (check: 'path' | 'disk'): Promise<void>
  /** Throws ARCHIVE_UNAVAILABLE, as all that tells of content, if the archive is not at its path any more. */
  room (): Promise<DiskRoom>
  /**
   * Has an area take over a copy in a directory of this machine, as `Area.adopt` does. Throws USAGE for what is no directory or
   * lies in the archive or around it.
   */
  adopt (area: string, directory: string, options?: AdoptOptions): Promise<AdoptOutcome>
  /** Cuts off whatever is under way: it ends with ABORTED, and the next opening puts in order what it left. */
  close (): Promise<void>
}

/** The content of an area is read, because the index has nothing of it, or has been. */
export type RebuildProgress = { readonly area: string } & ({ readonly state: 'begun' } | { readonly state: 'done', readonly files: number, readonly bytes: number })

export interface ArchiveSettings {
  /** How long replaced and deleted files are kept, milliseconds. */
  readonly keepMs: number
  /** `archive`: nothing ever leaves. */
  readonly deletions: 'mirror' | 'archive'
  /** Free space that syncs leave alone; max(1 GiB, 5 %) unless told. */
  readonly reserveBytes?: number
  /** How large the mirror of one client may become, without versions; as large as it likes unless told. */
  readonly quotaBytes?: number
  /** Reading all of an area takes long, and its client waits meanwhile. */
  readonly onRebuild?: (rebuilding: RebuildProgress) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}
