import { ENTRY_KINDS, joinPath, toHex } from '@filesync/protocol'
import type { FileEntry, RelativePath } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex } from '../store/archive-index.ts'
import type { Displaced } from './comparison.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { knownPaths } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'

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

/**
 * Of the files that leave the mirror, those whose content an earlier sync moved to another path: that sync ended early, before it
 * removed them, so they look as if they vanished. Reads all listings if there was such a sync.
 *
 * @param displaced all files whose content no longer belongs to their paths, so that it is not kept there
 */
export function alreadyMoved (stored: RememberedArea, displaced: readonly Displaced[], leaving: readonly Displaced[]): Set<RelativePath> {
  if (stored.record.hasHalfMoved !== true || leaving.length === 0) return new Set()
  const kept = keptContents(stored, displaced, leaving)
  const known = knownPaths(stored.index, stored.area, leaving.map(({ path }) => path))
  return new Set([...known].filter(({ entry, fact }) => kept.has(contentKey(entry, fact))).map(({ path }) => path))
}

/** The stored contents with the size and time of files that leave, except under paths that lose them. */
function keptContents ({ index, area }: Stored, displaced: readonly Displaced[], leaving: readonly Displaced[]): Set<string> {
  const lost = new Set<string>(displaced.map(({ path }) => path))
  // Of an unknown entry no digest is known.
  const wanted = new Set(leaving.filter(({ entry }) => !isUnknown(entry)).map(({ entry }) => timeKey(entry)))
  const kept = new Set<string>()
  for (const { directory, files } of index.directories(area)) {
    const stored = files === 0 ? undefined : index.directory({ area, directory })
    if (stored === undefined) continue
    let at = 0
    for (const cursor = new ListingCursor(stored.listing); cursor.next();) {
      if (cursor.kind !== ENTRY_KINDS.file) continue
      const file = { sizeBytes: cursor.sizeBytes(), mtimeNs: cursor.mtimeNs() }
      const isKept = wanted.has(timeKey(file)) && !lost.has(joinPath(directory, cursor.name()))
      if (isKept) kept.add(contentKey(file, readFact(stored.facts, at * FACT_BYTES)))
      at++
    }
  }
  return kept
}

function timeKey ({ sizeBytes, mtimeNs }: Pick<FileEntry, 'sizeBytes' | 'mtimeNs'>): string {
  return `${String(sizeBytes)}:${String(mtimeNs)}`
}

function contentKey (file: Pick<FileEntry, 'sizeBytes' | 'mtimeNs'>, { digest }: Pick<Fact, 'digest'>): string {
  return `${timeKey(file)}:${toHex(digest)}`
}

/** How many files left the mirror before a sync removed anything: another kind of entry took their places, or they were evicted. */
export function countLeft ({ index, area }: Stored, { leaving, evictions }: Leaving): number {
  const paths = leaving.filter(({ how }) => how === 'lost' || evictions.length > 0).map(({ path }) => path)
  return paths.length - [...knownPaths(index, area, paths)].length
}
