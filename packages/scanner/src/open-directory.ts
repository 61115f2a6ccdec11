import type { RelativePath } from '@filesync/protocol'
import type { FoundMount } from './directory-reading.ts'
import type { NodeId } from './directory-node.ts'
import type { EntryStat } from './entry-stat.ts'

/**
 * A directory that is held open while it is read, so that a change of its path does not lead elsewhere. The port between the
 * rules for entries and a file system. Every method throws an error with a `code` (EACCES, EIO, …) if the file system
 * reports one.
 */
export interface OpenDirectory {
  readonly path: RelativePath
  /** Whether it is on another device than the directory above; false for the root of the source. */
  readonly entersDevice: boolean
  describeMount (): FoundMount
  /** What identifies it, as the reading of the directory above has it. */
  id (): NodeId
  /**
   * Whether these names lead to nothing but entries that are spelled like them, so that an entry can be looked up instead of
   * listing the directory. Not where letter case or Unicode forms do not count, or short names lead to long ones.
   */
  hasExactNames (names: readonly string[]): boolean
  /** The names in it, in any order; bytes that are not UTF-8 appear as U+FFFD. */
  names (): string[]
  /** The names as bytes, as they are on disk. */
  rawNames (): Uint8Array[]
  /** `lstat` of a name; undefined if it is gone. All calls return the same record with new content. */
  stat (name: string): EntryStat | undefined
  /** Number of names of the file of the last `stat`. */
  links (): number
  /** The bytes of a symbolic link; undefined if it is gone or no longer a link. */
  linkTarget (name: string): Uint8Array | undefined
  /** The text of a small regular file; undefined if it is gone or something else. */
  text (name: string, maxBytes: number): string | undefined
  /** Whether a directory is this one or one above it, which only a mount can cause. */
  isAncestor (stat: EntryStat): boolean
  /** Whether the file keeps its inode number as long as it exists, which depends on its file system. */
  hasStableInode (name: string, stat: EntryStat): boolean
}
