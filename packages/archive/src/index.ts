/**
 * The server's durable side. What a client sends is staged, verified, made durable and then moved to its place as a whole; what
 * it replaces is kept as a version. `openArchive` of `@filesync/archive/node` opens an archive in a directory.
 *
 * @packageDocumentation
 */
export type {
  AdoptOptions, AdoptOutcome, Archive, ArchiveSettings, Area, DamageReport, DiskRoom, ExternalChanges, MirrorLimits, MirrorSize, Moment,
  OtherCopy, OtherPage, Point, PointsOptions, RebuildProgress, RestoredMoment, RestoreOptions, RestoreReport, SafeCheckOptions,
  SafeCheckResult,
  StoredFile, VerifyOptions, VerifyOutcome, Version,
} from './archive.ts'
export type {
  MakeSignature, PlanOptions, PlanRun, PlanRunOutcome, PresentFile, ScopedFolder, StoredSoFar, Sync, SyncOptions, SyncOutcome, SyncPlan,
  SyncScope, WantedListing,
} from './sync-contract.ts'
export type { PastTree } from './past-tree.ts'
export type { FoundEntry, RestoreFailure, RestoreOutcome, StoredFileHandle } from './store/content-store.ts'
export type { CopiedFile, ExistingCopy } from './store/existing-copy.ts'
export { ReopeningArchive } from './adopt/reopening-archive.ts'
export type { ReopeningArchiveInit } from './adopt/reopening-archive.ts'
