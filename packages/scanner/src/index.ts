/**
 * Scans a directory into an exact snapshot of listings with digests, detects changes, and explains what it leaves out.
 * `openScanner` of `@filesync/scanner/node` opens a directory.
 *
 * @packageDocumentation
 */
export type { ExcludedDirectory } from './exclusions.ts'
export { IGNORE_FILE_NAME } from './ignore-rules.ts'
export type { RuleReference } from './ignore-rules.ts'
export type { LeftOut, LeftOutCode, LeftOutEntries } from './left-out.ts'
export type { LinkPolicy } from './directory-reading.ts'
export type { ChangeBatch, Explanation, Scanner, ScanOptions, ScanProgress, WatchStatus } from './scanner.ts'
export type { FoundArchive, Snapshot } from './snapshot.ts'
export type { RememberedMount, RootMark, RootState, ScanMemory } from './source-root.ts'
