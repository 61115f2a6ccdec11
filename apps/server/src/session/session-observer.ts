import type { SyncPlan } from '@filesync/archive'
import type { ClientFilesInfo, StagingArea } from '@filesync/protocol'
import type { ReceiveProgress } from '@filesync/transfer'

/** Told what one session does, for whoever looks at it. Nothing of the session depends on it. */
export interface SessionObserver {
  onWaiting (position: number, estimateMs: number | undefined): void
  /** It is the client's turn. */
  onTurn (): void
  /** How long the transfer still takes; undefined while that cannot be told. */
  remainingMs (): number | undefined
  onTree (info: ClientFilesInfo): void
  onPlan (plan: SyncPlan): void
  onProgress (progress: ReceiveProgress): void
  /** The staging area itself, with the files noted that begin in it. */
  noting (staging: StagingArea, plan: SyncPlan): StagingArea
}
