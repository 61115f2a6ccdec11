/**
 * The server's durable side: what a client sent is staged, verified, made durable and put into its place as a whole;
 * what it replaces stays as a version. `openArchive` of the `node` entry makes one in a folder; the ports here let it
 * live elsewhere.
 *
 * @packageDocumentation
 */
export type { AreaHistory, ArchiveIndex, AreaRecord, DamageRecord, DirectoryKey, IndexWrite } from './archive-index.ts'
export type {
  AdoptOptions, AdoptOutcome, Archive, ArchiveSettings, Area, DamageReport, DiskRoom, HandMadeChanges, MakeSignature, MirrorLimits, MirrorSize, PlanOptions,
  PresentFile, Preview, PreviewOutcome, Rebuilding, RestoreOptions, StoredFile, StoredSoFar, Sync, SyncOutcome, SyncPlan, Version, VerifyOptions, VerifyOutcome,
} from './archive.ts'
export type { Attested, AttestOptions, OtherCopy } from './attest.ts'
export { StoredArea } from './area.ts'
export type { AreaInit } from './area.ts'
export { BRAKE_FILES, BRAKE_SHARE, brakeHolds } from './brake.ts'
export type { WantedListing } from './comparison.ts'
export type {
  ContentStore, ContentStream, DirectoryState, EntryPlace, FoundEntry, HistoryLog, KeptEntry, OpenFile, PackFailure, PackRequest, Relocation, Reread, RestoredFile,
  RestoreFailure, RestoreOutcome, RestoreRequest, Proof, SpoiledFiles, StoreTraits, StreamRequest,
} from './content-store.ts'
export type { CopiedFile, ExistingCopy } from './existing-copy.ts'
export { FACT_BYTES, readFact, writeFact } from './facts.ts'
export type { Fact } from './facts.ts'
export type { StoredDirectory } from './fold.ts'
export { expiredVersions } from './retention.ts'
export type { AgedVersion } from './retention.ts'
export { ReturningArchive } from './returning-archive.ts'
export type { ReturningArchiveInit } from './returning-archive.ts'
export { StoredArchive } from './stored-archive.ts'
export type { StoredArchiveInit } from './stored-archive.ts'
export { INDEX_ONLY, NOT_STAGED } from './section.ts'
export type { Batch, Failure, Outcome, Removal, Section } from './section.ts'
