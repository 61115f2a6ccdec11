import { DIGEST_BYTES, joinPath, readListing } from '@filesync/protocol'
import type { Digest, Entry, RelativePath } from '@filesync/protocol'
import type { ExpectedEntry, RestoredFile, RestoredSection } from './content-store.ts'

/** The files and links of a section one by one, in name order. */
export function * filesOf ({ directory, listing, digests, folders }: RestoredSection): Generator<RestoredFile, void, undefined> {
  let at = 0
  for (const entry of readListing(listing)) {
    const digest = digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES) as Digest
    yield restoredFile(joinPath(directory, entry.name), { entry, digest, folder: folders?.[at] })
    at++
  }
}

/** What is known of a file to restore. */
interface KnownPast {
  readonly entry: Entry | undefined
  readonly digest: Digest | undefined
  readonly folder: string | undefined
}

/** A file to restore, with what it must be if that is known. */
export function restoredFile (path: RelativePath, { entry, digest, folder }: KnownPast): RestoredFile {
  const expected = expectedOf(entry, digest)
  return { path, folder, ...(expected !== undefined && { expected }) }
}

function expectedOf (entry: Entry | undefined, digest: Digest | undefined): ExpectedEntry | undefined {
  if (entry?.kind === 'symlink') return { kind: 'symlink', target: entry.target, mtimeNs: entry.mtimeNs }
  if (entry?.kind !== 'file' || digest === undefined) return undefined
  const { sizeBytes, mtimeNs, mode } = entry
  return { kind: 'file', digest, sizeBytes, mtimeNs, mode }
}
