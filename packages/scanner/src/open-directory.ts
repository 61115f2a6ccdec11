import type { RelativePath } from '@filesync/protocol'
import type { EntryStat } from './entry-stat.ts'

/**
 * A directory that is held open while it is read: whatever happens to its path meanwhile, what is read is in it. The port
 * between the rules for entries and a file system. Every method throws an error with a `code` (EACCES, EIO, …) where the
 * file system refuses.
 */
export interface OpenDirectory {
  readonly path: RelativePath
  /** The names in it, in any order; bytes that are not UTF-8 appear as U+FFFD. */
  names (): string[]
  /** The names as they are on disk. */
  rawNames (): Uint8Array[]
  /** What is known of a name, without following a link; undefined where it is gone. One record, written anew by each call. */
  stat (name: string): EntryStat | undefined
  /** The bytes of a symbolic link; undefined where it is gone or no link any more. */
  linkTarget (name: string): Uint8Array | undefined
  /** The text of a small regular file; undefined where it is gone or something else. */
  text (name: string, maxBytes: number): string | undefined
  /** Whether a directory is this one or one that it lies in, which only a mount can bring about. */
  isAncestor (stat: EntryStat): boolean
  /** Whether the file system of a file lets it keep its inode number as long as it exists; others number files as they please. */
  keepsNumbers (name: string, stat: EntryStat): boolean
}
