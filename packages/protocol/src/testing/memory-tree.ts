import type { Digest, HashBytes } from '../digest.ts'
import type { Entry } from '../listing/entry.ts'
import { encodeListing } from '../listing/listing.ts'
import { listingDigest } from '../listing/page-tree.ts'
import { compareNames } from '../listing/name.ts'
import type { Name } from '../listing/name.ts'
import { joinPath, ROOT_PATH } from '../listing/relative-path.ts'
import type { RelativePath } from '../listing/relative-path.ts'
import type { Tree } from '../listing/tree.ts'

/** Entries by name: a file as text or bytes, a directory as a nested literal, or a link as `{ symlink: target }`. */
export interface TreeLiteral {
  readonly [name: string]: string | Uint8Array | TreeLiteral | { readonly symlink: string }
}

/** A tree from a literal, with times, modes and file ids that depend only on the literal. */
export function memoryTree (literal: TreeLiteral, hash: HashBytes): Tree & { content (path: RelativePath): Uint8Array | undefined } {
  const listings = new Map<string, Uint8Array>()
  const contents = new Map<string, Uint8Array>()
  const totals = { files: 0, directories: 0, bytes: 0 }

  function build (directory: RelativePath, children: TreeLiteral): Digest {
    const names = Object.keys(children).sort(compareNames)
    const entries = names.map(name => describe(joinPath(directory, name as Name), name as Name, children[name] ?? ''))
    const listing = encodeListing(entries)
    listings.set(directory, listing)
    return listingDigest(listing, hash)
  }

  function describe (path: RelativePath, name: Name, child: TreeLiteral[string]): Entry {
    const mtimeNs = 1_700_000_000_000_000_000n
    if (typeof child === 'string' || child instanceof Uint8Array) {
      const content = typeof child === 'string' ? new TextEncoder().encode(child) : child
      contents.set(path, content)
      totals.files++
      totals.bytes += content.length
      return { kind: 'file', name, sizeBytes: content.length, mtimeNs, mode: 0o644, fileId: BigInt(contents.size) }
    }
    if (typeof child.symlink === 'string') return { kind: 'symlink', name, mtimeNs, target: child.symlink }
    totals.directories++
    return { kind: 'directory', name, mtimeNs, mode: 0o755, digest: build(path, child) }
  }

  const rootDigest = build(ROOT_PATH, literal)
  return { rootDigest, ...totals, listing: path => listings.get(path), content: path => contents.get(path) }
}
