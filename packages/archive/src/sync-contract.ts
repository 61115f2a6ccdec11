import type {
  Amount, ArrivedListing, Digest, DirectoryEntry, TimeSlice, Problem, RelativePath, StagingArea, Task,
} from '@filesync/protocol'

/** What the client is asked for next: the listing of a directory, or a page of the table that was compared. */
export interface WantedListing {
  /** The number of the listing that names it: the one that was compared, or another page of the same directory. */
  readonly listing: number
  /** The position in that listing. */
  readonly index: number
  /** Undefined for a page. */
  readonly entry: DirectoryEntry | undefined
}

/**
 * Computes the signature of an open file, against which the client computes a difference; undefined if the file cannot be read to
 * its end. The file is closed after the promise settles.
 */
export type MakeSignature = (file: { readonly fd: number, readonly sizeBytes: number }) => Promise<Uint8Array | undefined>

/** The stored version of a file that a task asks for. */
export interface PresentFile {
  readonly sizeBytes: number
  /** The cached signature, or a new one that is cached until the file is replaced; undefined if none can be made. */
  signature (make: MakeSignature): Promise<Uint8Array | undefined>
}

/** What a sync will do. */
export interface SyncPlan {
  /**
   * In the order of listings and entries; the n-th task has the number n. Ends early if the brake halts the sync; `finish` then
   * throws.
   */
  readonly tasks: Iterable<Task>
  readonly taskCount: number
  /** Further tasks, to be read when all others are answered: files whose content turned out to have another digest. */
  retryTasks (): Iterable<Task>
  /** The file that a task asks for. Throws TASK_INVALID if there is no such task. */
  describe (task: number): { readonly path: RelativePath, readonly sizeBytes: number, readonly mtimeNs: bigint }
  /** Total size of the files that the tasks ask for. */
  readonly bytes: number
  /** Number of files whose content is stored under another path. */
  readonly renamed: number
  /** Number of files that will leave the mirror and be kept as versions. */
  readonly vanishing: number
  /** Number of files that do not fit. Each is reported as a problem, and no task asks for it. */
  readonly unfit: number
}

/** A folder of a client, as a sync lists it. */
export interface ScopedFolder {
  /** Whether everything in it is listed. If not, nothing in it is considered deleted. */
  readonly complete: boolean
  /** Number of files in it. A folder without files does not empty one that holds files, unless this is accepted. */
  readonly files: number
  readonly accepted?: boolean
}

/** What a sync may change of an area whose top directories are the folders of a client. */
export interface SyncScope {
  /** The folders that the client lists, by name. Other folders are left alone. */
  readonly folders: ReadonlyMap<string, ScopedFolder>
  /** Directories in these folders that the client cannot reach now. They are not listed, and left alone. */
  readonly away: readonly RelativePath[]
  /** Folders that leave the mirror. */
  readonly removed: ReadonlySet<string>
}

/** What the parts of a sync cover, and whose it is. */
export interface SyncOptions {
  /** Aborted when the client has left: what it sent is stored, and nothing more is done for it. */
  readonly client?: AbortSignal
  /** Without it, the sync covers the whole area as one tree. */
  readonly scope?: SyncScope
}

export interface PlanOptions {
  /** Whether the client listed its whole tree. With a scope, each folder says by itself whether what it does not list is gone. */
  readonly complete: boolean
  /** Whether the client supports RESUME tasks; true by default. */
  readonly resume?: boolean
  /**
   * Whether tasks may ask the client for digests alone. They are used for files that may be stored already with another mtime,
   * because they were adopted. False by default.
   */
  readonly digest?: boolean
  /** Whether the client can leave holes out, so that a sparse file may be asked for whose full size does not fit. */
  readonly holes?: boolean
}

export interface SyncOutcome {
  readonly files: number
  readonly bytes: number
  readonly deleted: number
  readonly renamed: number
  /** The first problems; `problemCount` is the number of all of them. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

/** How much of a sync is durable so far. */
export interface StoredSoFar {
  readonly files: number
  readonly bytes: number
  readonly renamed: number
  /** Files that left the mirror; counted only when a sync is abandoned. */
  readonly deleted: number
}

/** One sync of one area, from the comparison of listings to the committed tree. */
export interface Sync extends StagingArea {
  /** Root digest of the stored tree; equal to the client's if there is nothing to do. */
  readonly rootDigest: Digest
  /** Also valid after the sync failed. */
  readonly stored: StoredSoFar
  /** Called after each batch of files that became durable, and when a sync is abandoned after storing more. */
  onStored: ((stored: StoredSoFar) => void) | undefined
  /**
   * Compares a listing, page or table whose digest was verified with what is stored. Yields what to ask for next, and undefined wherever
   * the caller may pause. A directory that is longer than a page is compared when all its pages that differ have arrived. Throws
   * LIMIT_EXCEEDED if the comparison takes more memory than one sync may, and LISTING_INVALID.
   */
  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined>
  /**
   * Computes the plan. Call it once, after all listings arrived. Throws HALTED if the brake finds that too many files would leave
   * the mirror. Files that do not fit become problems.
   */
  plan (options: PlanOptions): SyncPlan
  /**
   * The stored version of the file that a task asks for, as the base of a difference; undefined if there is none or if a
   * difference against it failed before. Call it after `plan`.
   */
  present (task: number): PresentFile | undefined
  /**
   * Commits the sync; resolves when everything it reports is durable. Tasks that were not answered are asked for again at the next
   * sync. Throws HALTED if noise would replace too much plain content: those files are not replaced, all others are durable. If
   * the client leaves before everything is committed, ends the sync as `abandon` does and throws the reason.
   */
  finish (): Promise<SyncOutcome>
  /** Ends the sync early: commits what is staged and deletes nothing. */
  abandon (): Promise<void>
}

/** What a sync would do. */
export interface PlanRunOutcome {
  /** Files that would be asked for because the area has none at their paths, with their whole size. */
  readonly added: Amount
  /** Files that would be asked for because the area has another version of them, with their whole size. */
  readonly changed: Amount
  /** Files that would leave the mirror. */
  readonly deleted: Amount
  /** Number of files whose content is stored under another path. */
  readonly renamed: number
  /** The first problems; `problemCount` is the number of all of them. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Message for people: what would stop the sync before it stores anything; undefined if nothing would. */
  readonly obstacle: string | undefined
}

/** Computes what a sync would do without changing anything. */
export interface PlanRun {
  /** Root digest of the stored tree. */
  readonly rootDigest: Digest
  /** Compares a listing, as `Sync.compare` does. */
  compare (arrived: ArrivedListing): Iterable<WantedListing | undefined>
  /** Computes the outcome. Call it once, after all listings arrived. */
  finish (options: Pick<PlanOptions, 'complete'>, slice?: TimeSlice): Promise<PlanRunOutcome>
}
