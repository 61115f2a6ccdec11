import type { Entry, Problem, RelativePath } from '@filesync/protocol'
import type { RuleReference } from './ignore-rules.ts'
import type { Snapshot } from './snapshot.ts'
import type { ScanMemory } from './source-root.ts'

/** What a running scan has read so far. */
export interface ScanProgress {
  readonly files: number
  readonly directories: number
  readonly bytes: number
}

export interface ScanOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (progress: ScanProgress) => void
  /** Waits until files that were changed a moment ago have come to rest, but not longer than `settleWaitMs`. */
  readonly waitForSettled?: boolean
}

/** Why it is time to scan again. */
export interface ChangeBatch {
  readonly reason:
    /** The watch has begun. */
    | 'start'
    /** Something changed and became quiet. */
    | 'changes'
    /** The slow walk that finds what a watch has missed. */
    | 'interval'
    /** The watch was lost; until it can be taken up again, the tree is walked at an interval. */
    | 'lost'
  /** Number of paths that changes were told of; 0 where that is not known. */
  readonly paths: number
}

/** How changes are found at the moment. */
export interface WatchStatus {
  readonly mode: 'idle' | 'watching' | 'walking'
  /**
   * Why what is watched is not enough, for people: the tree cannot be watched, or the watch missed changes and everything is
   * walked with the next scan. Undefined while all is well.
   */
  readonly why: string | undefined
}

/** The state of one path and the reason for it. */
export type Explanation =
  | {
    readonly state: 'listed'
    readonly entry: Entry
    /** Of a directory: the first thing in it or below it that is not listed or held back, and how many there are. Absent for none. */
    readonly below?: { readonly first: Problem, readonly count: number }
  }
  /** It is listed, but its content is held back until it is quiet. */
  | { readonly state: 'unsettled', readonly entry: Entry, readonly problem: Problem }
  | { readonly state: 'ignored', readonly rule: RuleReference }
  | { readonly state: 'problem', readonly problem: Problem }
  /** It was not there at the last scan. */
  | { readonly state: 'absent' }

/** Keeps a picture of one tree up to date. */
export interface Scanner {
  /**
   * A picture of the tree as it is now. While a watch is held, only directories that may have changed are read. Rejects with
   * SOURCE_UNAVAILABLE where the directory is missing, something else or unreadable; with SOURCE_SUSPECT where it has vanished,
   * lies on another disk than last time, or is empty though it was not; with USAGE where the extra ignore file cannot be
   * read; and with the signal's reason. Scans run one after the other.
   */
  scan (options: ScanOptions): Promise<Snapshot>
  /**
   * Watches the tree, and tells each time that changes have become quiet; scan then. The first batch comes at once. Where the
   * tree cannot be watched it is to be walked at an interval, and `status` says why. Ends by throwing the signal's reason.
   */
  watch (options: { readonly signal: AbortSignal }): AsyncIterable<ChangeBatch>
  /** What was listed of these directories turned out not to be true any more: the next scan reads them, and those above, again. */
  doubt (directories: Iterable<RelativePath>): void
  /** The state of one path at the last scan, and the reason. Before the first scan every path is absent. */
  why (path: RelativePath): Explanation
  readonly status: WatchStatus
  /** What the app has to keep and give to the next scanner of this tree. Undefined before the first scan. */
  readonly memory: ScanMemory | undefined
  /** Ends the threads. A scan that is running rejects. */
  close (): Promise<void>
}
