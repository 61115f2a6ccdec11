import { decodeListing, joinPath, ROOT_PATH, toHex } from '@filesync/protocol'
import type { Digest, Entry, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Snapshot } from '@filesync/scanner'

/** All entries by path. Throws if a digest is not that of its listing. */
export function entries (snapshot: Snapshot): Map<string, Entry> {
  const found = new Map<string, Entry>()
  const visit = (directory: RelativePath, digest: Digest): void => {
    const listing = snapshot.listing(directory)
    if (listing === undefined) throw new Error(`no listing of ${directory}`)
    if (toHex(hashBytes(listing)) !== toHex(digest)) throw new Error(`the digest of ${directory} is not that of its listing`)
    for (const entry of decodeListing(listing)) {
      const path = joinPath(directory, entry.name)
      found.set(path, entry)
      if (entry.kind === 'directory') visit(path, entry.digest)
    }
  }
  visit(ROOT_PATH, snapshot.rootDigest)
  return found
}

export function paths (snapshot: Snapshot): string[] {
  return [...entries(snapshot).keys()]
}

export function problems (snapshot: Snapshot): string[] {
  return snapshot.problems.map(({ path, code }) => `${path} ${code}`)
}
