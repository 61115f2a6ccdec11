import type { Entry, Problem, RelativePath } from '@filesync/protocol'
import type { RuleReference } from './ignore-rules.ts'
import type { LeftOut, LeftOutEntries } from './left-out.ts'
import type { Snapshot } from './snapshot.ts'
import type { ScanMemory } from './source-root.ts'

/** Totals of what a running scan has read so far. */
export interface ScanProgress {
  readonly files: number
  readonly directories: number
  readonly bytes: number
}

export interface ScanOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (progress: ScanProgress) => void
  /** Waits until recently written files have settled, at most `settleWaitMs`. */
  readonly waitForSettled?: boolean
}

/** A reason to scan again. */
export interface ChangeBatch {
  readonly reason:
    /** The watch has begun. */
    | 'start'
    /** Something changed, and has been quiet since. */
    | 'changes'
    /** The periodic walk that finds changes that the watch missed. */
    | 'interval'
    /** The watch failed. The source is walked periodically until it can be watched again. */
    | 'lost'
  /** Number of changed paths; 0 if it is not known. */
  readonly paths: number
}

/** How changes are currently found. */
export interface WatchStatus {
  readonly mode: 'idle' | 'watching' | 'walking'
  /**
   * Message to the user if watching is not enough: the source cannot be watched, or the watch missed changes, so that the
   * next scan walks everything. Undefined otherwise.
   */
  readonly why: string | undefined
}

/** The state of one path and the reason for it. */
export type Explanation =
  | {
    readonly state: 'listed'
    readonly entry: Entry
    /** Of a directory: the first problem in it or below it, and their number. Absent if there is none. */
    readonly below?: { readonly first: Problem, readonly count: number }
    /** Of a directory: what is left out in it or below it. Absent if nothing is. */
    readonly leftOut?: LeftOutEntries
  }
  /** It is listed, but its content is not sent until it has settled. */
  | { readonly state: 'unsettled', readonly entry: Entry, readonly problem: Problem }
  | { readonly state: 'ignored', readonly rule: RuleReference }
  /** It is left out by its nature, which is no problem. */
  | { readonly state: 'left-out', readonly leftOut: LeftOut }
  /** It is one of the directories that were excluded when the scanner was opened, or below one. */
  | { readonly state: 'excluded', readonly why: string }
  /** It is a mount point that is away, or below one. */
  | { readonly state: 'away', readonly problem: Problem }
  | { readonly state: 'problem', readonly problem: Problem }
  /** The last scan did not find it. */
  | { readonly state: 'absent' }

/** Takes snapshots of one source and watches it. */
export interface Scanner {
  /**
   * Takes a snapshot. While the source is watched, only directories that may have changed are read. Rejects with
   * SOURCE_UNAVAILABLE if the source is missing, not a directory or unreadable; with SOURCE_SUSPECT if it vanished, is on
   * another disk than last time, or is empty although it was not; with USAGE if the extra ignore file cannot be read; and with
   * the signal's reason. Scans run one after the other.
   */
  scan (options: ScanOptions): Promise<Snapshot>
  /**
   * Watches the source and yields a batch whenever it is time to scan; the first comes at once. If the source cannot be watched,
   * batches come periodically, and `status` says why. Ends by throwing the signal's reason.
   */
  watch (options: { readonly signal: AbortSignal }): AsyncIterable<ChangeBatch>
  /** Has the next scan read these directories, whose listings are out of date, and those above them again. */
  invalidate (directories: Iterable<RelativePath>): void
  /** The state of one path at the last scan, and the reason for it. Before the first scan every path is absent. */
  explain (path: RelativePath): Explanation
  readonly status: WatchStatus
  /** To be stored and passed to the next scanner of this source. Undefined before the first scan. */
  readonly memory: ScanMemory | undefined
  /** Ends the threads. A running scan rejects. */
  close (): Promise<void>
}
