import { ENTRY_KINDS, ROOT_PATH, toHex } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { PackedState, PastEntry } from '../history/packed-state.ts'
import { ListingCursor } from '../store/listing-cursor.ts'

/**
 * The files of a past state that were further names of other files of it, with the paths of these: they had the same file id, metadata and
 * content, in one folder. A name comes after the one that it is mapped to, in the order of directories.
 */
export function sharedNames (files: PackedState): ReadonlyMap<RelativePath, RelativePath> {
  const shared = new Map<RelativePath, RelativePath>()
  const directories = [...files.filled()].sort()
  // Sorted numbers take little memory, and hardly any file has a second name.
  const bits = new Float64Array(files.count)
  let count = 0
  for (const directory of directories) for (const one of fileIdsIn(files, directory)) bits[count++] = one
  const sorted = bits.subarray(0, count).sort()
  const repeated = new Set(sorted.filter((one, at) => one !== 0 && one === sorted[at + 1]))
  if (repeated.size === 0) return shared
  // In an area of folders, nothing but folders is at the top.
  const hasFolders = !files.has(ROOT_PATH)
  const first = new Map<string, RelativePath>()
  for (const directory of directories) {
    if (![...fileIdsIn(files, directory)].some(one => repeated.has(one))) continue
    for (const file of files.in(directory)) {
      const key = keyOf(file, hasFolders)
      const known = key === undefined ? undefined : first.get(key)
      if (known !== undefined) shared.set(file.path, known)
      else if (key !== undefined) first.set(key, file.path)
    }
  }
  return shared
}

/** The low bits of the file ids in a directory. */
function * fileIdsIn (files: PackedState, directory: RelativePath): Generator<number, void, undefined> {
  const listing = files.listing(directory)
  if (listing === undefined) return
  for (const cursor = new ListingCursor(listing); cursor.next();) if (cursor.kind === ENTRY_KINDS.file) yield cursor.fileIdBits()
}

function keyOf ({ path, entry, digest }: PastEntry, hasFolders: boolean): string | undefined {
  if (entry?.kind !== 'file' || entry.fileId === 0n || digest === undefined) return undefined
  const folder = hasFolders ? path.slice(0, path.indexOf('/')) : ROOT_PATH
  return [entry.fileId, entry.sizeBytes, entry.mtimeNs, entry.mode, toHex(digest), folder].join(':')
}
