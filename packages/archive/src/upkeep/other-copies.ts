import { DIGEST_BYTES, ENTRY_KINDS, equalDigests, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, KeptEntry } from '../store/content-store.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { isUnknownAt } from '../store/unknown-entry.ts'

/** Versions of a damaged file's size that are read in search of its content. */
const CANDIDATES = 64

export interface CopySource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'versions'>
}

/** A file whose content is sought elsewhere. */
export interface SoughtFile {
  readonly path: RelativePath
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** A place that may have the content of a file. */
export interface OtherPlace {
  readonly from: RelativePath
  /** The folder in versions; undefined for the mirror. */
  readonly folder: string | undefined
}

/**
 * Places that may have the content of a file: files of the mirror with its digest, then versions of its size, first of its own path. What
 * is there has to be verified.
 */
export async function * otherCopies (source: CopySource, file: SoughtFile): AsyncGenerator<OtherPlace, void, undefined> {
  const { index, area, store } = source
  for (const from of pathsOf(index, area, file.digest)) yield { from, folder: undefined }
  const all = await store.versions(area, ROOT_PATH)
  const versions = all.filter(({ found: { kind, sizeBytes } }) => kind === 'file' && sizeBytes === file.sizeBytes)
  const rank = (version: KeptEntry): number => (
    Number(version.path !== file.path) * 2 + Number(version.found.mtimeNs !== file.mtimeNs)
  )
  for (const version of versions.sort((a, b) => rank(a) - rank(b)).slice(0, CANDIDATES)) {
    yield { from: version.path, folder: version.folder }
  }
}

/** Paths of the mirror whose files have a digest, according to the index. */
function * pathsOf (index: ArchiveIndex, area: string, digest: Digest): Generator<RelativePath, void, undefined> {
  for (const { directory, files } of [...index.directories(area)]) {
    const stored = files === 0 ? undefined : index.directory({ area, directory })
    if (stored === undefined || !hasDigest(stored.facts, digest)) continue
    let at = 0
    for (const cursor = new ListingCursor(stored.listing); cursor.next();) {
      if (cursor.kind !== ENTRY_KINDS.file) continue
      const found = stored.facts.subarray(at, at + DIGEST_BYTES)
      at += FACT_BYTES
      if (equalDigests(found, digest) && !isUnknownAt(cursor)) yield joinPath(directory, cursor.name())
    }
  }
}

/** Whether any file of a directory has a digest, without reading its listing: there may be a million files. */
function hasDigest (facts: Uint8Array, digest: Digest): boolean {
  for (let at = 0; at < facts.length; at += FACT_BYTES) {
    if (facts[at] === digest[0] && equalDigests(facts.subarray(at, at + DIGEST_BYTES), digest)) return true
  }
  return false
}
