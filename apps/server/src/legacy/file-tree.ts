import { compareNames, encodeListing, joinPath, listingDigest, pathDepth, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, Entry, HashBytes, RelativePath } from '@filesync/protocol'
import type { Sync } from '@filesync/archive'

/** A file as the original protocol describes it, without mode and file id. */
export interface PlainFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** The listings of a tree, built from its files alone. */
export interface FileTree {
  readonly rootDigest: Digest
  readonly listings: ReadonlyMap<RelativePath, Uint8Array>
}

const FILE_MODE = 0o644
const DIRECTORY_MODE = 0o755

/** Builds listings from files. A directory gets the newest mtime of its entries, so that equal files give equal listings. */
export function buildTree (files: ReadonlyMap<RelativePath, PlainFile>, hash: HashBytes): FileTree {
  const contents = new Map<RelativePath, Entry[]>([[ROOT_PATH, []]])
  const entriesOf = (directory: RelativePath): Entry[] => {
    const known = contents.get(directory)
    if (known !== undefined) return known
    const entries: Entry[] = []
    contents.set(directory, entries)
    entriesOf(splitPath(directory).directory)
    return entries
  }
  for (const [path, { sizeBytes, mtimeNs }] of files) {
    const { directory, name } = splitPath(path)
    entriesOf(directory).push({ kind: 'file', name, sizeBytes, mtimeNs, mode: FILE_MODE, fileId: 0n })
  }
  const listings = new Map<RelativePath, Uint8Array>()
  const deepestFirst = [...contents.keys()].sort((a, b) => pathDepth(b) - pathDepth(a))
  for (const directory of deepestFirst) {
    const entries = entriesOf(directory).sort((a, b) => compareNames(a.name, b.name))
    const listing = encodeListing(entries)
    listings.set(directory, listing)
    if (directory === ROOT_PATH) continue
    const { directory: parent, name } = splitPath(directory)
    const digest = listingDigest(listing, hash)
    entriesOf(parent).push({ kind: 'directory', name, mtimeNs: newest(entries), mode: DIRECTORY_MODE, digest })
  }
  return { rootDigest: listingDigest(listings.get(ROOT_PATH) ?? encodeListing([]), hash), listings }
}

/** Passes to a sync each listing that it asks for, from the root down. */
export function compareTree (sync: Sync, { listings }: FileTree): void {
  const due: RelativePath[] = [ROOT_PATH]
  for (let number = 0; number < due.length; number++) {
    const directory = due[number] ?? ROOT_PATH
    const bytes = listings.get(directory)
    if (bytes === undefined) continue
    for (const wanted of sync.compare({ number, directory, bytes })) {
      if (wanted?.entry !== undefined) due.push(joinPath(directory, wanted.entry.name))
    }
  }
}

function newest (entries: readonly Entry[]): bigint {
  return entries.reduce((latest, { mtimeNs }) => mtimeNs > latest ? mtimeNs : latest, entries[0]?.mtimeNs ?? 0n)
}
