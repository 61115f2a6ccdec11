import type { Digest } from '../digest.ts'
import type { Name } from './name.ts'

/** A regular file. Hard links are sent as separate files. */
export interface FileEntry {
  readonly kind: 'file'
  readonly name: Name
  readonly sizeBytes: number
  /** Nanoseconds since the Unix epoch, within a signed 64-bit integer (the years 1677 to 2262). */
  readonly mtimeNs: bigint
  /** Permission bits, 0 to 0o777. */
  readonly mode: number
  /**
   * Identifies the file on its file system and survives a rename; 64 bits, 0 if the file system has no inodes. Two files with
   * the same file id, size and mtime are the same file under two names.
   */
  readonly fileId: bigint
}

/** A directory; the digest is that of its listing, so it covers everything below. */
export interface DirectoryEntry {
  readonly kind: 'directory'
  readonly name: Name
  readonly mtimeNs: bigint
  readonly mode: number
  readonly digest: Digest
}

/** A symbolic link: stored as data, never followed. */
export interface SymlinkEntry {
  readonly kind: 'symlink'
  readonly name: Name
  readonly mtimeNs: bigint
  /** The text of the link as on disk. */
  readonly target: string
}

/** One name in a directory. */
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Clamps a time to the range of a listing, the years 1677 to 2262. */
export function clampTimeNs (timeNs: bigint): bigint {
  return timeNs > INT64_MAX ? INT64_MAX : timeNs < INT64_MIN ? INT64_MIN : timeNs
}

/** Whether two entries of the same path are assumed to have the same content: same kind, and same size and mtime, or target. */
export function sameContent (left: Entry, right: Entry): boolean {
  if (left.kind === 'file' && right.kind === 'file') {
    return left.sizeBytes === right.sizeBytes && left.mtimeNs === right.mtimeNs
  }
  if (left.kind === 'symlink' && right.kind === 'symlink') return left.target === right.target
  return left.kind === 'directory' && right.kind === 'directory'
}

/** The number of a listing in this session, and the index of an entry in it, from 0. */
export type EntryReference = readonly [listing: number, entry: number]
