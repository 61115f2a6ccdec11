/**
 * What is on disk: an exact picture of a tree as listings with digests, its changes, and the reason for whatever is left out.
 * Opened for a directory by `openScanner` of `@filesync/scanner/node`.
 *
 * @packageDocumentation
 */
export { IGNORE_FILE_NAME } from './ignore-rules.ts'
export type { RuleReference } from './ignore-rules.ts'
export type { ChangeBatch, Explanation, Scanner, ScanOptions, ScanProgress, WatchStatus } from './scanner.ts'
export type { FoundArchive, Snapshot } from './snapshot.ts'
export type { RootMark, ScanMemory } from './source-root.ts'
