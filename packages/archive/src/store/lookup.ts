import { ENTRY_KINDS, joinPath, readListing, splitPath } from '@filesync/protocol'
import type { Digest, DirectoryEntry, FileEntry, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import { FACT_BYTES, readFact } from './facts.ts'
import type { Fact } from './facts.ts'
import type { StoredDirectory } from './fold.ts'
import { ListingBuilder, ListingCursor } from './listing-cursor.ts'
import { PageLookup } from './page-lookup.ts'
import { pagesIn } from './rewrite-pages.ts'

/** A stored file with its facts. */
export interface KnownFile {
  readonly path: RelativePath
  readonly entry: FileEntry
  readonly fact: Fact
}

/** The stored files of one directory, in name order. */
export function * knownFiles (index: ArchiveIndex, area: string, directory: RelativePath): Generator<KnownFile, void, undefined> {
  for (const page of pagesIn(index, { area, directory })) yield * filesIn(directory, page)
}

/** The files of a directory or of a page of it, in name order. */
export function * filesIn (directory: RelativePath, { listing, facts }: StoredDirectory): Generator<KnownFile, void, undefined> {
  let at = 0
  for (const entry of readListing(listing)) {
    if (entry.kind !== 'file') continue
    yield { path: joinPath(directory, entry.name), entry, fact: readFact(facts, at) }
    at += FACT_BYTES
  }
}

/** A stored file, as {@link findFile} finds it. */
export interface FoundFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly digest: Digest
}

/** Finds one file of a directory without decoding the others: there may be a million of them. */
export function findFile ({ listing, facts }: StoredDirectory, name: string): FoundFile | undefined {
  const wanted = new TextEncoder().encode(name)
  const cursor = new ListingCursor(listing)
  let files = 0
  while (cursor.next()) {
    if (cursor.isNamed(wanted)) {
      if (cursor.kind !== ENTRY_KINDS.file) return undefined
      const { digest } = readFact(facts, files * FACT_BYTES)
      return { sizeBytes: cursor.sizeBytes(), mtimeNs: cursor.mtimeNs(), digest }
    }
    if (cursor.kind === ENTRY_KINDS.file) files++
  }
  return undefined
}

/** Finds a subdirectory without decoding the other entries. */
export function findDirectory ({ listing }: Pick<StoredDirectory, 'listing'>, name: string): DirectoryEntry | undefined {
  const wanted = new TextEncoder().encode(name)
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    if (!cursor.isNamed(wanted)) continue
    const builder = new ListingBuilder()
    builder.addRange(cursor.bytes, cursor.start, cursor.end)
    const [entry] = readListing(builder.finish())
    return entry?.kind === 'directory' ? entry : undefined
  }
  return undefined
}

/** The stored files among the paths, directory by directory. */
export function * knownPaths (index: ArchiveIndex, area: string, paths: Iterable<RelativePath>): Generator<KnownFile, void, undefined> {
  const find = fileLookup(index, area)
  const byDirectory = Map.groupBy(new Set(paths), path => splitPath(path).directory)
  for (const path of [...byDirectory.values()].flat()) {
    const file = find(path)
    if (file !== undefined) yield file
  }
}

/** Looks up files by path. Caches the last page, because lookups come directory by directory, nearly in the order of the listings. */
export function fileLookup (index: ArchiveIndex, area: string): (path: RelativePath) => KnownFile | undefined {
  const pages = new PageLookup(index, area)
  let last: { readonly page: StoredDirectory | undefined, readonly files: ReadonlyMap<string, KnownFile> } | undefined
  return path => {
    const { directory, name } = splitPath(path)
    const page = pages.find(directory, name)
    if (last === undefined || last.page !== page) last = { page, files: page === undefined ? new Map() : filesByPath(page, directory) }
    return last.files.get(path)
  }
}

function filesByPath (page: StoredDirectory, directory: RelativePath): ReadonlyMap<string, KnownFile> {
  return new Map([...filesIn(directory, page)].map(file => [file.path, file]))
}

/** The directories of a listing, without decoding its files. */
export function directoriesOf (listing: Uint8Array): DirectoryEntry[] {
  const builder = new ListingBuilder()
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    if (cursor.kind === ENTRY_KINDS.directory) builder.add(listing.subarray(cursor.start, cursor.end))
  }
  return [...readListing(builder.finish())].filter(entry => entry.kind === 'directory')
}
