import type { SyncPlan } from '@filesync/archive'
import type { ClientFilesInfo, StagingArea } from '@filesync/protocol'
import type { ReceiveProgress } from '@filesync/transfer'

/** Receives what one session does, for status, events and metrics. It has no influence on the session. */
export interface SessionObserver {
  onWaiting (position: number, estimateMs: number | undefined): void
  /** The client's turn has begun. */
  onTurn (): void
  /** How long the transfer will still take; undefined while that is unknown. */
  remainingMs (): number | undefined
  onTree (info: ClientFilesInfo): void
  onPlan (plan: SyncPlan): void
  onProgress (progress: ReceiveProgress): void
  /** Wraps the staging area so that the observer sees each file that begins. */
  observeStaging (staging: StagingArea, plan: SyncPlan): StagingArea
}
