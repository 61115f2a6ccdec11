import { joinPath, LIMITS, PageTree } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, DirectoryKey, IndexWrite } from './archive-index.ts'
import { EMPTY_DIRECTORY, foldDirectory, patchDigests } from './fold.ts'
import type { StoredDirectory } from './fold.ts'
import { foldPages } from './fold-pages.ts'
import type { PageStep } from './fold-pages.ts'
import { ListingCursor } from './listing-cursor.ts'
import type { Section } from './section.ts'
import { makeRuns } from './section-runs.ts'
import { isPaged, joinDirectories, onePage } from './stored-pages.ts'
import type { StoredPages } from './stored-pages.ts'

export interface ChangeSite {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
}

/** What changes in one directory. */
export interface DirectoryChange {
  readonly directory: RelativePath
  readonly sections: readonly Section[]
  readonly removed: ReadonlySet<string>
  /** The digests of subdirectories that differ from those in the sections, or in the index. */
  readonly digests?: ReadonlyMap<Name, Digest> | undefined
}

/** A directory after a change. */
export interface ChangedDirectory {
  /** Its content; undefined if it has several pages. */
  readonly whole: StoredDirectory | undefined
  digest (): Digest
}

const NO_DIGESTS: ReadonlyMap<Name, Digest> = new Map()

/**
 * Writes that apply placed sections, removed names and digests to a directory, and drop what is below names that no longer are
 * directories. Of a directory of several pages, only those concerned are read and written. The writes come in steps of about
 * `ArchiveIndex.stepBytes`; after each the directory is consistent in itself, and the same change can be applied again.
 */
export function * changeDirectory (
  site: ChangeSite, change: DirectoryChange,
): Generator<IndexWrite[], ChangedDirectory, undefined> {
  const key = { area: site.area, directory: change.directory }
  const old = site.index.stored(key) ?? EMPTY_DIRECTORY
  if (isPaged(old)) return yield * changePages(site, change, old)
  if (mostEntries(old, change.sections) > LIMITS.pageEntries) return yield * changePages(site, change, onePage(old, site.hash))
  const { lostDirectories, listing: folded, facts } = foldDirectory(old, change.sections, change.removed)
  const { listing, orphans } = change.digests === undefined ? { listing: folded, orphans: [] } : withDigests(folded, change.digests)
  const whole = { listing, facts }
  yield [...dropWrites(key, lostDirectories), ...dropWrites(key, orphans), { put: key, stored: whole }]
  return { whole, digest: () => site.hash(listing) }
}

/** A listing with other digests of subdirectories, and the names that it does not have. */
function withDigests (
  listing: Uint8Array, digests: ReadonlyMap<Name, Digest>,
): { readonly listing: Uint8Array, readonly orphans: readonly Name[] } {
  const found = new Set<Name>()
  const patched = patchDigests(listing, name => {
    found.add(name)
    return digests.get(name) ?? 'keep'
  })
  return { listing: patched, orphans: [...digests.keys()].filter(name => !found.has(name)) }
}

/** As {@link changeDirectory}, as one list of writes to be applied atomically: for changes of a few entries. */
export function changeWrites (site: ChangeSite, change: DirectoryChange): IndexWrite[] {
  return [...changeDirectory(site, change)].flat()
}

function * changePages (
  site: ChangeSite, { directory, sections, removed, digests = NO_DIGESTS }: DirectoryChange, old: StoredPages,
): Generator<IndexWrite[], ChangedDirectory, undefined> {
  const { area, index, hash } = site
  const key = { area, directory }
  const lost: Name[] = []
  const found = new Set<Name>()
  const digestOf = (name: Name): Digest | undefined => {
    const digest = digests.get(name)
    if (digest !== undefined) found.add(name)
    return digest
  }
  const names = new Set(digests.keys())
  const fold = { runs: makeRuns(sections), removed, lost, digests: names, digestOf: names.size > 0 ? digestOf : undefined }
  let last: PageStep | undefined
  for (const step of foldPages(old, fold, { hash, stepBytes: index.stepBytes })) {
    if (last !== undefined) yield [{ patch: key, leaves: last }]
    last = step
  }
  const leaves = last ?? []
  const drops = dropWrites(key, [...lost, ...[...digests.keys()].filter(name => !found.has(name))])
  if (leaves.reduce((sum, { entries }) => sum + entries, 0) > LIMITS.pageEntries) {
    yield [...drops, { patch: key, leaves }]
    return { whole: undefined, digest: () => new PageTree(leaves, hash).digest }
  }
  // It has become so short that its pages are one.
  const whole = joinDirectories(leaves.map(page => 'stored' in page ? page.stored : old.read(old.leaves.indexOf(page))))
  yield [...drops, { put: key, stored: whole }]
  return { whole, digest: () => hash(whole.listing) }
}

function dropWrites ({ area, directory }: DirectoryKey, names: readonly Name[]): IndexWrite[] {
  return names.map(name => ({ drop: { area, directory: joinPath(directory, name) }, recursive: true }))
}

/** How many entries a directory can have after sections are added to it. */
function mostEntries ({ listing }: StoredDirectory, sections: readonly Section[]): number {
  return sections.reduce((sum, { staged }) => sum + staged.length, new ListingCursor(listing).count)
}
