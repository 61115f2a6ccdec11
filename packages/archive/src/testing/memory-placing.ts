import { checkWindowsName } from '@filesync/protocol'
import type { Clock, Entry, FileEntry, RelativePath } from '@filesync/protocol'
import type { Placing, StoreTraits } from '../store/content-store.ts'
import { storableTime, isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { ALTERED, INDEX_ONLY, isContent, NOT_STAGED, STAYS_THERE, WAS_NOTHING } from '../store/section.ts'
import type { Batch } from '../store/section.ts'
import { inside } from './memory-folder.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'
import type { MemoryStaging } from './memory-staging.ts'
import type { MemoryVersions } from './memory-versions.ts'

export interface MemoryPlacingInit {
  readonly root: MemoryFolder
  readonly traits: StoreTraits
  readonly staging: MemoryStaging
  readonly versions: MemoryVersions
  readonly newFolder: () => MemoryFolder
  readonly clock: Clock
}

export interface PlacedIn {
  readonly area: string
  readonly directory: RelativePath
  readonly batch: Batch
  readonly how: Placing
}

/** Places entries, and moves what was there to the versions. */
export class MemoryPlacing {
  readonly #init: MemoryPlacingInit

  constructor (init: MemoryPlacingInit) {
    this.#init = init
  }

  /** @returns what was there before, or why an entry could not be placed */
  place (entry: Entry, number: number, { area, directory, batch, how }: PlacedIn): string | typeof ALTERED | number {
    const { root, traits, staging, versions, newFolder, clock } = this.#init
    const folder = root.below(inside(area, directory))
    if (folder === undefined) return 'its directory is missing'
    if (traits.windowsNames && checkWindowsName(entry.name) !== undefined) return 'the store cannot hold a file of this name'
    const old = folder.get(entry.name)
    const put = (node: MemoryNode): number => {
      const before = old === undefined ? WAS_NOTHING : versions.keep({ area, directory, ...batch }, entry.name, old)
      folder.put(entry.name, node)
      return before
    }
    if (entry.kind === 'directory') {
      if (old?.kind !== 'directory') return put(newFolder())
      old.mode = entry.mode | 0o700
      return STAYS_THERE
    }
    if (entry.kind === 'symlink') {
      if (number === INDEX_ONLY) return STAYS_THERE
      if (old?.kind === 'symlink' && old.target === entry.target) {
        old.mtimeNs = entry.mtimeNs
        return STAYS_THERE
      }
      return put({ kind: 'symlink', target: entry.target, mtimeNs: entry.mtimeNs, sinceMs: clock.nowMs() })
    }
    if (!isContent(number)) return touch(old, entry, { number, times: traits.times })
    const staged = staging.remove(batch.staging, number)
    if (staged === undefined) return how !== 'first' && isPlaced(old, entry) ? STAYS_THERE : 'its content is not in staging'
    return put(staged)
  }
}

function touch (
  old: MemoryNode | undefined,
  { sizeBytes, mtimeNs, mode }: FileEntry,
  { number, times }: { readonly number: number, readonly times: TimeRange | undefined },
): typeof ALTERED | number {
  if (old?.kind !== 'file' || old.content.length !== sizeBytes) return ALTERED
  if (number === NOT_STAGED && !isTimeAsSet(mtimeNs, storableTime(old.mtimeNs, times), times)) return ALTERED
  Object.assign(old, { mtimeNs, mode: mode & 0o777 | 0o400 })
  return STAYS_THERE
}

function isPlaced (node: MemoryNode | undefined, { sizeBytes, mtimeNs }: FileEntry): boolean {
  return node?.kind === 'file' && node.content.length === sizeBytes && node.mtimeNs === mtimeNs
}
