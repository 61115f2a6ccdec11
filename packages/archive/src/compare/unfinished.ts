import { ENTRY_KINDS, equalDigests, joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex } from '../store/archive-index.ts'
import type { Displaced } from './comparison.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { knownPaths } from '../store/lookup.ts'

interface Stored {
  readonly index: ArchiveIndex
  readonly area: string
}

/** An area, and what it remembers of earlier syncs. */
export interface RememberedArea extends Stored {
  readonly record: AreaRecord
}

/** The part of a plan that may leave the mirror before the sync ends. */
interface Leaving {
  readonly leaving: readonly Displaced[]
  readonly evictions: readonly unknown[]
}

/** A stored file that has the file id, size and time of one that leaves. */
interface Twin {
  readonly from: Displaced
  readonly to: RelativePath
}

/**
 * Of the files that leave the mirror, those whose content an earlier sync moved to another path: that sync ended early, before it
 * removed them, so they look as if they vanished. Reads all listings if there was such a sync.
 *
 * @param displaced all files whose content no longer belongs to their paths, so that it is not kept there
 */
export function alreadyMoved (stored: RememberedArea, displaced: readonly Displaced[], leaving: readonly Displaced[]): Set<RelativePath> {
  if (stored.record.hasHalfMoved !== true || leaving.length === 0) return new Set()
  const lost = new Set(displaced.map(({ path }) => path))
  const twins = findTwins(stored, leaving).filter(({ to }) => !lost.has(to))
  const { index, area } = stored
  const known = knownPaths(index, area, twins.flatMap(({ from, to }) => [from.path, to]))
  const digests = new Map([...known].map(({ path, fact }) => [path, fact.digest]))
  return new Set(twins.filter(({ from, to }) => {
    const [old, fresh] = [digests.get(from.path), digests.get(to)]
    return old !== undefined && fresh !== undefined && equalDigests(old, fresh)
  }).map(({ from }) => from.path))
}

function findTwins ({ index, area }: Stored, files: readonly Displaced[]): Twin[] {
  const byFileId = new Map(files.filter(({ entry }) => entry.fileId !== 0n).map(file => [file.entry.fileId, file]))
  const twins: Twin[] = []
  for (const { directory } of byFileId.size === 0 ? [] : index.directories(area)) {
    const listing = index.listing({ area, directory })
    if (listing === undefined) continue
    for (const cursor = new ListingCursor(listing); cursor.next();) {
      const from = cursor.kind === ENTRY_KINDS.file ? byFileId.get(cursor.fileId()) : undefined
      const isTwin = from !== undefined && cursor.sizeBytes() === from.entry.sizeBytes && cursor.mtimeNs() === from.entry.mtimeNs
      if (isTwin) twins.push({ from, to: joinPath(directory, cursor.name()) })
    }
  }
  return twins
}

/** How many files left the mirror before a sync removed anything: another kind of entry took their places, or they were evicted. */
export function countLeft ({ index, area }: Stored, { leaving, evictions }: Leaving): number {
  const paths = leaving.filter(({ how }) => how === 'lost' || evictions.length > 0).map(({ path }) => path)
  return paths.length - [...knownPaths(index, area, paths)].length
}
