/**
 * Transfers files: one end answers tasks with packed files, streamed files or deltas; the other checks what arrives and hands it to
 * a staging area. In a sync the client answers; in a restore the server does.
 *
 * @packageDocumentation
 */
export type { Decompress } from './compressed-frame.ts'
export type { Compression } from './compression-choice.ts'
export { DATA_CONTENT_AT, writeDataHeader } from './data-frame.ts'
export { deltaTasks } from './delta-tasks.ts'
export type { DeltaTasks, DeltaTasksInit, PresentCopy } from './delta-tasks.ts'
export type { DerivedSignatureInit } from './derived-signature.ts'
export type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, StreamStep, WantedFile } from './file-source.ts'
export type { CutFinder } from './gear.ts'
export type { ExpectedFile } from './outstanding-tasks.ts'
export type { IncomingFilesInit, ReceivedFiles, ReceiveProgress } from './incoming-files.ts'
export { MovingRate } from './moving-rate.ts'
export { ProgressMeter } from './progress.ts'
export type { TransferProgress } from './progress.ts'
export { receiveFiles } from './receive-files.ts'
export type { ReceiveFilesInit } from './receive-files.ts'
export { sendAnswers, sendFiles } from './send-files.ts'
export type { SendFilesInit } from './send-files.ts'
export { SUPPORTED_FEATURES } from './supported-features.ts'
export { TokenBucket } from './token-bucket.ts'
export { dataAtStart, holeAtStart } from './zero-runs.ts'
