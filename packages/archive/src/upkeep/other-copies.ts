import { DIGEST_BYTES, ENTRY_KINDS, equalDigests, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, KeptEntry } from '../store/content-store.ts'
import { eachDirectory, eachPage } from '../store/each-directory.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { isUnknownAt } from '../store/unknown-entry.ts'
import { DigestTable } from './digest-table.ts'

/** Versions of a damaged file's size that are read in search of its content. */
const CANDIDATES = 64
/** After so many files have been sought, it is kept in memory which directories may have which digests. */
const SOUGHT_SINGLY = 8

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

/** Finds places that may have the content of files whose own copies are damaged or gone. What is there has to be verified. */
export class OtherCopies {
  readonly #source: CopySource
  #sought = 0
  #byDigest: DigestTable | undefined
  #bySize: Promise<Map<number, KeptEntry[]>> | undefined

  constructor (source: CopySource) {
    this.#source = source
  }

  /** Files of the mirror with its digest, then versions of its size, first of its own path. */
  async * of (file: SoughtFile): AsyncGenerator<OtherPlace, void, undefined> {
    const { area, store } = this.#source
    for (const from of this.#pathsOf(file.digest)) yield { from, folder: undefined }
    // A sync may have moved its content to versions since they were listed.
    const own = (await store.versions(area, file.path)).filter(({ found: { kind, sizeBytes } }) => (
      kind === 'file' && sizeBytes === file.sizeBytes
    ))
    const others = ((await (this.#bySize ??= this.#listVersions())).get(file.sizeBytes) ?? []).filter(({ path }) => path !== file.path)
    const sameTimeFirst = (a: KeptEntry, b: KeptEntry): number => (
      Number(a.found.mtimeNs !== file.mtimeNs) - Number(b.found.mtimeNs !== file.mtimeNs)
    )
    const versions = [...own.sort(sameTimeFirst), ...others.sort(sameTimeFirst)]
    for (const { path, folder } of versions.slice(0, CANDIDATES)) yield { from: path, folder }
  }

  /** Whether a version is kept. */
  async isKept (path: RelativePath, folder: string): Promise<boolean> {
    const { area, store } = this.#source
    return (await store.versions(area, path)).some(version => version.path === path && version.folder === folder)
  }

  async #listVersions (): Promise<Map<number, KeptEntry[]>> {
    const { area, store } = this.#source
    const files = (await store.versions(area, ROOT_PATH)).filter(({ found }) => found.kind === 'file')
    return Map.groupBy(files, ({ found }) => found.sizeBytes)
  }

  /** Paths of the mirror whose files have a digest, according to the index. */
  * #pathsOf (digest: Digest): Generator<RelativePath, void, undefined> {
    const { index, area } = this.#source
    for (const directory of this.#candidates(digest)) {
      for (const { listing, facts } of eachPage(index, { area, directory })) {
        let at = 0
        for (const cursor = new ListingCursor(listing); cursor.next();) {
          if (cursor.kind !== ENTRY_KINDS.file) continue
          const found = facts.subarray(at, at + DIGEST_BYTES)
          at += FACT_BYTES
          if (equalDigests(found, digest) && !isUnknownAt(cursor)) yield joinPath(directory, cursor.name())
        }
      }
    }
  }

  #candidates (digest: Digest): Iterable<RelativePath> {
    if (this.#sought++ < SOUGHT_SINGLY) return this.#directoriesWith(digest)
    this.#byDigest ??= this.#readDigests()
    return this.#byDigest.find(digest)
  }

  * #directoriesWith (digest: Digest): Generator<RelativePath, void, undefined> {
    const { index, area } = this.#source
    for (const { directory, files } of eachDirectory(index, area)) {
      if (files === 0) continue
      for (const { facts } of eachPage(index, { area, directory })) {
        if (!hasDigest(facts, digest)) continue
        yield directory
        break
      }
    }
  }

  #readDigests (): DigestTable {
    const { index, area } = this.#source
    let count = 0
    for (const { files } of eachDirectory(index, area)) count += files
    const table = new DigestTable(count)
    for (const { directory, files } of eachDirectory(index, area)) {
      if (files === 0) continue
      table.begin(directory)
      for (const { facts } of eachPage(index, { area, directory })) {
        for (let at = 0; at < facts.length; at += FACT_BYTES) table.add(facts, at)
      }
    }
    return table
  }
}

/** Whether any file of a directory has a digest, without reading its listing: there may be a million files. */
function hasDigest (facts: Uint8Array, digest: Digest): boolean {
  for (let at = 0; at < facts.length; at += FACT_BYTES) {
    if (facts[at] === digest[0] && equalDigests(facts.subarray(at, at + DIGEST_BYTES), digest)) return true
  }
  return false
}
