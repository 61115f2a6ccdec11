import type { RelativePath } from '@filesync/protocol'

/** What a watch tells. */
export interface WatchListener {
  /** Something happened at these paths, or to a directory of that name. */
  changed (paths: readonly RelativePath[]): void
  /** Changes may be missing among those that were told; what happens from now on is told. */
  missed (why: string): void
  /** Nothing more will be told; what was told may not be everything. */
  lost (why: string): void
}

/** Tells of changes in a tree, as a port. */
export interface TreeWatcher {
  /** From when this resolves on, every change is told. The result ends it. Rejects where watching is not possible. */
  subscribe (listener: WatchListener): Promise<() => Promise<void>>
}
