import { equalDigests } from '../digest.ts'
import { sameContent } from './entry.ts'
import type { Entry } from './entry.ts'
import { ListingReader } from './listing-reader.ts'
import { compareNames } from './name.ts'

/** How one name differs between the committed listing and the client's current one. */
export type Difference =
  /** New, or of another kind than before, or with other content. For a directory: its digest differs. */
  | { readonly how: 'changed', readonly index: number, readonly entry: Entry, readonly committed: Entry | undefined }
  /** Same content, but another mode, mtime or file id. */
  | { readonly how: 'touched', readonly index: number, readonly entry: Entry, readonly committed: Entry }
  | { readonly how: 'gone', readonly committed: Entry }

/**
 * Compares two listings of one directory and yields the differences in name order.
 *
 * @param committed the stored listing, which is known to be canonical; undefined for a new directory
 * @param listed the client's listing, which `index` refers to
 */
export function * compareListings (committed: Uint8Array | undefined, listed: Uint8Array): Generator<Difference, void, undefined> {
  const old = committed === undefined ? undefined : new ListingReader(committed)
  const now = new ListingReader(listed)
  let before: Entry | undefined
  for (;;) {
    if (before === undefined && old !== undefined) now.skipEqual(old)
    const entry = now.next()
    if (entry === undefined) break
    before ??= old?.next()
    for (; before !== undefined && compareNames(before.name, entry.name) < 0; before = old?.next()) yield { how: 'gone', committed: before }
    const match = before?.name === entry.name ? before : undefined
    if (match !== undefined) before = undefined
    const difference = compareEntries(match, entry, now.index)
    if (difference !== undefined) yield difference
  }
  for (before ??= old?.next(); before !== undefined; before = old?.next()) yield { how: 'gone', committed: before }
}

function compareEntries (committed: Entry | undefined, entry: Entry, index: number): Difference | undefined {
  if (committed === undefined || !sameContent(committed, entry) || digestDiffers(committed, entry)) {
    return { how: 'changed', index, entry, committed }
  }
  return metadataDiffers(committed, entry) ? { how: 'touched', index, entry, committed } : undefined
}

function digestDiffers (committed: Entry, entry: Entry): boolean {
  return committed.kind === 'directory' && entry.kind === 'directory' && !equalDigests(committed.digest, entry.digest)
}

function metadataDiffers (committed: Entry, entry: Entry): boolean {
  if (committed.mtimeNs !== entry.mtimeNs) return true
  if (committed.kind !== 'symlink' && entry.kind !== 'symlink' && committed.mode !== entry.mode) return true
  return committed.kind === 'file' && entry.kind === 'file' && committed.fileId !== entry.fileId
}
