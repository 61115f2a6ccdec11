import type { Clock, Digest, HashBytes } from '@filesync/protocol'
import type { AreaHistory, AreaRecord, ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Position } from '../store/position.ts'
import type { ScopeRules } from '../compare/scope.ts'
import type { SyncPlanner } from '../compare/sync-planner.ts'
import type { PresentFiles } from './present-files.ts'
import type { StoredProgress } from './stored-progress.ts'
import type { SyncBrake } from './sync-brake.ts'
import type { SyncStatus } from './sync-status.ts'
import type { UnsignedFiles } from './unsigned-files.ts'

export interface SyncInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly hash: HashBytes
  readonly deletions: 'mirror' | 'archive'
  readonly rootDigest: Digest
  /** What the sync may change. */
  readonly rules: ScopeRules
  /** Unfinished large files by name, with their sizes. */
  readonly partials: ReadonlyMap<string, number>
  /** Directory in staging that no other sync uses. */
  readonly staging: string
  readonly record: AreaRecord
  readonly history: AreaHistory
  /** Bytes that may be written. */
  readonly roomBytes: number
  readonly quotaBytes?: number
  /** Collects large files that arrive without a signature. */
  readonly unsigned: UnsignedFiles
  /** Aborted when the client has left. */
  readonly client?: AbortSignal | undefined
  /** Called once, when the sync is over. */
  readonly ended: () => void
}

/** What the parts of a sync share from its beginning. */
export interface SyncContext extends SyncInit {
  /** Its number, and when it began. */
  readonly began: Position
  readonly status: SyncStatus
  readonly planner: SyncPlanner
  readonly brake: SyncBrake
  readonly present: PresentFiles
  readonly progress: StoredProgress
}
