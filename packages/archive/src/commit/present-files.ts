import { DIGEST_BYTES, equalDigests, splitPath } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { MakeSignature, PresentFile } from '../sync-contract.ts'
import { isFileUnchanged } from '../upkeep/safe-check.ts'
import type { Displaced } from '../compare/comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import { findFile } from '../store/lookup.ts'
import type { FoundFile } from '../store/lookup.ts'
import { PageLookup } from '../store/page-lookup.ts'

/** Smaller files are never worth a signature, so none is looked up for them. */
const SIGNED_FROM_BYTES = 256 << 10
/** Signatures that are kept until the end of their sync; the others are made when they are needed. */
const NEW_BYTES_MAX = 32 << 20

export interface PresentFilesInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
}

/**
 * The stored copies against which differences of arriving files can be made. The index keeps a signature after the digest of the content
 * that it describes, so a signature of other content is never used. A digest without a signature means that a difference against this
 * content has failed.
 */
export class PresentFiles {
  readonly #init: PresentFilesInit
  /** Digests of the copies whose signatures were handed out. */
  readonly #compared = new Map<RelativePath, Digest>()
  readonly #failed: IndexWrite[] = []
  readonly #newSignatures: { readonly path: RelativePath, readonly digest: Digest, readonly signature: Uint8Array }[] = []
  #newBytes = 0
  readonly #pages: PageLookup

  constructor (init: PresentFilesInit) {
    this.#init = init
    this.#pages = new PageLookup(init.index, init.area)
  }

  /** Undefined if nothing is stored at the path, or if a difference against the stored content has failed before. */
  find (path: RelativePath): PresentFile | undefined {
    const known = this.#find(path)
    if (known === undefined || this.#init.store.openFile === undefined) return undefined
    const kept = this.#kept(path, known.digest)
    if (kept?.length === 0) return undefined
    return {
      sizeBytes: known.sizeBytes,
      signature: async make => {
        this.#compared.set(path, known.digest)
        // If the file was changed outside FileSync, the kept signature describes its former content.
        if (kept === undefined || !await this.#isUnchanged(path)) return await this.#sign(path, known.digest, make)
        return kept
      },
    }
  }

  /** The digest of the content that is stored at a path. */
  digestOf (path: RelativePath): Digest | undefined {
    return this.#find(path)?.digest
  }

  /**
   * Whether the store still has each of these files with the size and time that the index has. To be called before a file gets another
   * time: after a change outside FileSync, the time is all that shows it. Looks at each directory once.
   */
  async areUnchanged (paths: readonly RelativePath[]): Promise<boolean[]> {
    const { area, store } = this.#init
    const unchanged = paths.map(() => false)
    for (const [directory, asked] of Map.groupBy(paths.map((path, at) => ({ path, at, ...splitPath(path) })), one => one.directory)) {
      const found = await store.find(area, directory, asked.map(({ name }) => name))
      asked.forEach(({ path, at }, i) => {
        const known = this.#find(path)
        unchanged[at] = known !== undefined && isFileUnchanged(known, found[i], store.traits.times)
      })
    }
    return unchanged
  }

  /** What arrived for a path did not match its digest: if it was a difference, the next sync asks for the whole file. */
  addFailed (path: RelativePath): void {
    const signature = this.#compared.get(path)
    if (signature !== undefined) this.#failed.push({ area: this.#init.area, path, signature })
  }

  /** Keeps the signature of content that arrived for a path. */
  addSignature (path: RelativePath, digest: Digest, signature: Uint8Array): void {
    if (this.#newBytes + signature.length > NEW_BYTES_MAX) return
    this.#newBytes += signature.length
    this.#newSignatures.push({ path, digest, signature })
  }

  /** Writes that are due after the index has the result of the sync. */
  writes (displaced: readonly Displaced[]): IndexWrite[] {
    this.#pages.invalidate()
    const { area } = this.#init
    const dropped = displaced.filter(({ path, entry }) => entry.sizeBytes >= SIGNED_FROM_BYTES && this.#isStale(path))
    // Only the signatures of content that was placed in the end are kept.
    const signed = this.#newSignatures.splice(0).filter(({ path, digest }) => {
      const known = this.digestOf(path)
      return known !== undefined && equalDigests(known, digest)
    })
    return [
      ...dropped.map(({ path }) => ({ area, path, signature: undefined })),
      ...signed.map(({ path, digest, signature }) => ({ area, path, signature: join(digest, signature) })),
      ...this.#failed.splice(0),
    ]
  }

  async #isUnchanged (path: RelativePath): Promise<boolean> {
    const [isUnchanged] = await this.areUnchanged([path])
    return isUnchanged === true
  }

  async #sign (path: RelativePath, digest: Digest, make: MakeSignature): Promise<Uint8Array | undefined> {
    const { area, index, store } = this.#init
    const file = await store.openFile?.(area, path)
    if (file === undefined) return undefined
    try {
      const signature = await make(file)
      if (signature !== undefined) await index.write([{ area, path, signature: join(digest, signature) }])
      return signature
    } finally {
      await file.close()
    }
  }

  #kept (path: RelativePath, digest: Digest): Uint8Array | undefined {
    const kept = this.#init.index.signature(this.#init.area, path)
    return kept !== undefined && equalDigests(kept.subarray(0, DIGEST_BYTES), digest) ? kept.subarray(DIGEST_BYTES) : undefined
  }

  #isStale (path: RelativePath): boolean {
    if (this.#init.index.signature(this.#init.area, path) === undefined) return false
    const known = this.#find(path)
    return known === undefined || this.#kept(path, known.digest) === undefined
  }

  #find (path: RelativePath): FoundFile | undefined {
    const { directory, name } = splitPath(path)
    const page = this.#pages.find(directory, name)
    return page === undefined ? undefined : findFile(page, name)
  }
}

function join (digest: Digest, signature: Uint8Array): Uint8Array {
  const joined = new Uint8Array(DIGEST_BYTES + signature.length)
  joined.set(digest)
  joined.set(signature, DIGEST_BYTES)
  return joined
}
