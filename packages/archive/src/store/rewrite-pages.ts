import type { ArchiveIndex, DirectoryKey, IndexWrite, RewrittenPage } from './archive-index.ts'
import type { StoredDirectory } from './fold.ts'
import { isPaged } from './stored-pages.ts'

/**
 * Writes that replace the content of a directory page by page, where its names stay as they are: other facts, other metadata. Pages for
 * which `rewrite` returns its argument are not written. The writes come in steps of about `ArchiveIndex.stepBytes`.
 */
export function * rewriteDirectory (
  index: ArchiveIndex, key: DirectoryKey, rewrite: (page: StoredDirectory) => StoredDirectory,
): Generator<IndexWrite[], void, undefined> {
  const old = index.stored(key)
  if (old === undefined) return
  if (!isPaged(old)) {
    const stored = rewrite(old)
    if (stored !== old) yield [{ put: key, stored }]
    return
  }
  let pages: RewrittenPage[] = []
  let bytes = 0
  for (const [leaf, { firstName }] of old.leaves.entries()) {
    const page = old.read(leaf)
    const stored = rewrite(page)
    if (stored === page) continue
    pages.push({ firstName, stored })
    bytes += stored.listing.length + stored.facts.length
    if (bytes < index.stepBytes) continue
    yield [{ rewrite: key, pages }]
    pages = []
    bytes = 0
  }
  if (pages.length > 0) yield [{ rewrite: key, pages }]
}

/** The contents of a directory, one page at a time. */
export function * pagesIn (index: ArchiveIndex, key: DirectoryKey): Generator<StoredDirectory, void, undefined> {
  const stored = index.stored(key)
  if (stored === undefined) return
  if (!isPaged(stored)) yield stored
  else for (const leaf of stored.leaves.keys()) yield stored.read(leaf)
}

/** As {@link pagesIn}, only the listings. */
export function * listingsIn (index: ArchiveIndex, key: DirectoryKey): Generator<Uint8Array, void, undefined> {
  const stored = index.stored(key)
  if (stored === undefined) return
  if (!isPaged(stored)) yield stored.listing
  else for (const leaf of stored.leaves.keys()) yield stored.listing(leaf)
}
