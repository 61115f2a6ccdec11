import { ENTRY_KINDS } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { DiskRoom, MirrorSize } from '../archive.ts'
import type { Comparison } from './comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { TaskList } from './task-list.ts'

const MIN_RESERVE_BYTES = 2 ** 30
const RESERVE_SHARE = 0.05
/** Directories whose files are counted between two pauses. */
const COUNTED_AT_ONCE = 1_000

/** The disk's size, its free bytes, and how many of these syncs leave free: by default max(1 GiB, 5 %). */
export async function diskRoom (store: ContentStore, reserveBytes: number | undefined): Promise<DiskRoom> {
  const { freeBytes, totalBytes } = await store.freeBytes()
  return { freeBytes, totalBytes, reserveBytes: reserveBytes ?? Math.max(MIN_RESERVE_BYTES, Math.ceil(totalBytes * RESERVE_SHARE)) }
}

/** How much a sync may store. */
export interface SpaceLimits {
  readonly index: ArchiveIndex
  readonly area: string
  /** Bytes that may be written to the disk. */
  readonly roomBytes: number
  /** How large the mirror of the area may become; undefined for no limit. */
  readonly quotaBytes?: number
}

export interface StoredMirror {
  /** Read only if there is a quota, or if much is replaced or gone: counting takes time. */
  readonly mirror: { readonly size: MirrorSize }
}

/** Bytes that a sync transfers. Files for which only the digest is asked do not count: they may be stored already. */
export function neededBytes ({ wantedBytes }: Comparison, { tasks }: { readonly tasks: TaskList }): number {
  return wantedBytes - tasks.digestBytes
}

/** Counts the mirror of an area, without versions. Yields when it could pause; the index may change meanwhile. */
export function * countMirror (index: ArchiveIndex, area: string): Generator<undefined, MirrorSize, undefined> {
  let [files, bytes] = [0, 0]
  for (let at: RelativePath | undefined; ;) {
    let counted = 0
    for (const found of index.directories(area, at)) {
      files += found.files
      if (found.files > 0) bytes += directoryBytes(index, area, found.directory)
      at = found.directory
      if (++counted === COUNTED_AT_ONCE) break
    }
    if (counted < COUNTED_AT_ONCE) return { files, bytes }
    yield undefined
  }
}

interface CountInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly pause: () => Promise<void>
}

/** As {@link countMirror}, pausing in between. */
export async function mirrorSize ({ index, area, pause }: CountInit): Promise<MirrorSize> {
  const counting = countMirror(index, area)
  for (;;) {
    const step = counting.next()
    if (step.done === true) return step.value
    await pause()
  }
}

function directoryBytes (index: ArchiveIndex, area: string, directory: RelativePath): number {
  const listing = index.listing({ area, directory })
  let sum = 0
  if (listing === undefined) return sum
  for (const cursor = new ListingCursor(listing); cursor.next();) if (cursor.kind === ENTRY_KINDS.file) sum += cursor.sizeBytes()
  return sum
}
