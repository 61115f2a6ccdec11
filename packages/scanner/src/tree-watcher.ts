import type { RelativePath } from '@filesync/protocol'

/** Receives the events of a watcher. */
export interface WatchListener {
  /** Something changed at these paths: an entry, or the content of a file or directory. */
  changed (paths: readonly RelativePath[]): void
  /** Changes may have been missed; from now on they are reported again. */
  missed (why: string): void
  /** The watch ended; changes may have been missed before. */
  lost (why: string): void
}

/** Reports changes in a tree; a port. */
export interface TreeWatcher {
  /** Reports every change after it resolves, until the returned function is called. Rejects if the tree cannot be watched. */
  subscribe (listener: WatchListener): Promise<() => Promise<void>>
}
