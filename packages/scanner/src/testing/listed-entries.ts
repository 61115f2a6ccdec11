import { decodeListing, equalDigests, joinPath, listingDigest, ROOT_PATH } from '@filesync/protocol'
import type { Digest, Entry, HashBytes, RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { Snapshot } from '../snapshot.ts'

/** All entries by path. Throws if a digest is not that of its listing. */
export function listedEntries (snapshot: Snapshot, hash: HashBytes): Map<string, Entry> {
  const found = new Map<string, Entry>()
  const visit = (directory: RelativePath, digest: Digest): void => {
    const listing = snapshot.listing(directory)
    const isRight = listing !== undefined && equalDigests(listingDigest(listing, hash), digest)
    ensure(isRight, `the digest of "${directory}" is not that of its listing`)
    for (const entry of decodeListing(listing)) {
      const path = joinPath(directory, entry.name)
      found.set(path, entry)
      if (entry.kind === 'directory') visit(path, entry.digest)
    }
  }
  visit(ROOT_PATH, snapshot.rootDigest)
  return found
}
