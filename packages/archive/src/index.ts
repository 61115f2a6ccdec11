/**
 * The server's durable side: what a client sent is staged, verified, made durable and put into its place as a whole;
 * what it replaces stays as a version. `openArchive` of the `node` entry makes one in a folder; the ports here let it
 * live elsewhere.
 *
 * @packageDocumentation
 */
export type { AreaHistory, ArchiveIndex, AreaRecord, DamageRecord, DirectoryKey, IndexWrite } from './store/archive-index.ts'
export type {
  AdoptOptions, AdoptOutcome, Archive, ArchiveSettings, Area, SafeResult as Attested, SafeCheckOptions as AttestOptions, DamageReport, DiskRoom, HandMadeChanges, MakeSignature, MirrorLimits, MirrorSize, OtherCopy, PlanOptions,
  PresentFile, PlanRun as Preview, PlanRunOutcome as PreviewOutcome, Rebuilding, RestoreOptions, StoredFile, StoredSoFar, Sync, SyncOutcome, SyncPlan, Version, VerifyOptions, VerifyOutcome,
  WantedListing,
} from './archive.ts'
export { StoredArea } from './area.ts'
export type { AreaInit } from './area.ts'
export { BRAKE_FILES, BRAKE_SHARE, brakeHolds } from './compare/brake.ts'
export type {
  ContentStore, ContentStream, DirectoryState, EntryPlace, FoundEntry, HistoryLog, KeptEntry, OpenFile, PackFailure, PackRequest, Relocation, Reread, RestoredFile,
  RestoreFailure, RestoreOutcome, RestoreRequest, Proof, SpoiledFiles, StoreTraits, StreamRequest,
} from './store/content-store.ts'
export type { CopiedFile, ExistingCopy } from './store/existing-copy.ts'
export { FACT_BYTES, readFact, writeFact } from './store/facts.ts'
export type { Fact } from './store/facts.ts'
export type { StoredDirectory } from './store/fold.ts'
export { expiredVersions } from './history/retention.ts'
export type { AgedVersion } from './history/retention.ts'
export { ReturningArchive } from './adopt/returning-archive.ts'
export type { ReturningArchiveInit } from './adopt/returning-archive.ts'
export { StoredArchive } from './stored-archive.ts'
export type { StoredArchiveInit } from './stored-archive.ts'
export { INDEX_ONLY, NOT_STAGED } from './store/section.ts'
export type { Batch, Failure, Outcome, Removal, Section } from './store/section.ts'
