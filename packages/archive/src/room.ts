import { ENTRY_KINDS } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { DiskRoom, MirrorSize } from './archive.ts'
import type { Comparison } from './comparison.ts'
import type { ContentStore } from './content-store.ts'
import { entryAt, ListingCursor } from './listing-cursor.ts'
import type { Plan } from './plan.ts'

const MIN_RESERVE_BYTES = 2 ** 30
const RESERVE_SHARE = 0.05
/** Directories whose files are counted before others get a turn of the thread. */
const COUNTED_AT_ONCE = 1_000

/** What the disk has, and what of it stays free; max(1 GiB, 5 %) unless told. */
export async function diskRoom (store: ContentStore, reserveBytes: number | undefined): Promise<DiskRoom> {
  const { freeBytes, totalBytes } = await store.freeBytes()
  return { freeBytes, totalBytes, reserveBytes: reserveBytes ?? Math.max(MIN_RESERVE_BYTES, Math.ceil(totalBytes * RESERVE_SHARE)) }
}

export interface Room {
  readonly index: ArchiveIndex
  readonly area: string
  /** Bytes that may be written to the disk. */
  readonly roomBytes: number
  /** How large the mirror of the area may become; undefined for as large as it likes. */
  readonly quotaBytes?: number
}

/** Bytes that a sync brings: what moves within the area is there already, and so may be that of which only the digest is asked for. */
export function neededBytes ({ wantedBytes }: Comparison, { moves, tasks }: Plan): number {
  return wantedBytes - tasks.digestBytes - moves.reduce((sum, { directory, index }) => sum + entryAt(directory.listing, directory.offsets[index] ?? 0).sizeBytes(), 0)
}

/** Bytes of the files of a mirror, without versions. */
export function mirrorBytes (index: ArchiveIndex, area: string): number {
  let sum = 0
  for (const { directory, files } of index.directories(area)) if (files > 0) sum += directoryBytes(index, area, directory)
  return sum
}

/** Counts the mirror of an area, and lets others have the thread in between. */
export async function mirrorSize ({ index, area, pause }: { readonly index: ArchiveIndex, readonly area: string, readonly pause: () => Promise<void> }): Promise<MirrorSize> {
  let [files, bytes] = [0, 0]
  for (const [at, found] of [...index.directories(area)].entries()) {
    if (at % COUNTED_AT_ONCE === COUNTED_AT_ONCE - 1) await pause()
    files += found.files
    if (found.files > 0) bytes += directoryBytes(index, area, found.directory)
  }
  return { files, bytes }
}

function directoryBytes (index: ArchiveIndex, area: string, directory: RelativePath): number {
  const listing = index.listing({ area, directory })
  let sum = 0
  if (listing === undefined) return sum
  for (const cursor = new ListingCursor(listing); cursor.next();) if (cursor.kind === ENTRY_KINDS.file) sum += cursor.sizeBytes()
  return sum
}
