import type { Clock, HashBytes } from '@filesync/protocol'
import type { Archive, ArchiveSettings } from '../archive.ts'
import { StoredArchive } from '../stored-archive.ts'
import { MemoryIndex } from './memory-index.ts'
import { MemoryStore } from './memory-store.ts'

export interface MemoryArchiveInit extends Partial<Omit<ArchiveSettings, 'clock'>> {
  /** `hashBytes` of `@filesync/protocol/node`. */
  readonly hash: HashBytes
  readonly clock: Clock
  /** Store and index of an earlier archive; new ones by default. */
  readonly store?: MemoryStore
  readonly index?: MemoryIndex
}

/** An archive in memory, which does everything that the one on disk does. Keeps versions for 30 days by default. */
export function memoryArchive (init: MemoryArchiveInit): Archive {
  let folders = 0
  return new StoredArchive({
    id: 'memory',
    keepMs: 30 * 86_400_000,
    deletions: 'mirror',
    reserveBytes: 0,
    signal: new AbortController().signal,
    ...init,
    store: init.store ?? new MemoryStore(init),
    index: init.index ?? new MemoryIndex(),
    newStaging: () => `${String(init.clock.nowMs())}-${String(folders++)}`,
    close: () => Promise.resolve(),
  })
}
