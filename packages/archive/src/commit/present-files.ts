import { DIGEST_BYTES, equalDigests, splitPath } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { MakeSignature, PresentFile } from '../sync-contract.ts'
import { isFileUnchanged } from '../upkeep/safe-check.ts'
import type { Displaced } from '../compare/comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { findFile } from '../store/lookup.ts'
import type { FoundFile } from '../store/lookup.ts'

/** Nothing below is ever worth a signature, so nothing is looked up for it. */
const SIGNED_FROM_BYTES = 256 << 10
/** Signatures that wait for the end of their sync; what is beyond is made when it is needed. */
const DESCRIBED_BYTES_MAX = 32 << 20

export interface PresentFilesInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
}

/**
 * The stored copies that arriving files can be compared with. The index keeps a signature behind the digest of the content
 * that it describes, so that one of other content is never taken for it; a digest with nothing behind it says that a
 * difference against this content has failed.
 */
export class PresentFiles {
  readonly #init: PresentFilesInit
  /** Digests of the copies whose signatures were given out. */
  readonly #compared = new Map<RelativePath, Digest>()
  readonly #failed: IndexWrite[] = []
  readonly #described: { readonly path: RelativePath, readonly digest: Digest, readonly signature: Uint8Array }[] = []
  #describedBytes = 0
  #last: { readonly directory: RelativePath, readonly stored: StoredDirectory | undefined } | undefined

  constructor (init: PresentFilesInit) {
    this.#init = init
  }

  /** Undefined where nothing is stored at the path, or a difference against what is stored there has failed before. */
  find (path: RelativePath): PresentFile | undefined {
    const known = this.#find(path)
    if (known === undefined || this.#init.store.openFile === undefined) return undefined
    const kept = this.#kept(path, known.digest)
    if (kept?.length === 0) return undefined
    return {
      sizeBytes: known.sizeBytes,
      signature: async make => {
        this.#compared.set(path, known.digest)
        // Others than the archive changed it, and what is kept describes what it was.
        if (kept === undefined || !await this.isAsGiven(path)) return await this.#sign(path, known.digest, make)
        return kept
      },
    }
  }

  /** Of what is stored at a path. */
  digestOf (path: RelativePath): Digest | undefined {
    return this.#find(path)?.digest
  }

  /**
   * Whether the store still has a file with the size and time that the index knows. Asked before the file gets another time:
   * where somebody changed it by hand, its time is all that tells.
   */
  async isAsGiven (path: RelativePath): Promise<boolean> {
    const [isGiven] = await this.areAsGiven([path])
    return isGiven === true
  }

  /** The same of several, which cost one question a directory. */
  async areAsGiven (paths: readonly RelativePath[]): Promise<boolean[]> {
    const { area, store } = this.#init
    const given = paths.map(() => false)
    for (const [directory, asked] of Map.groupBy(paths.map((path, at) => ({ path, at, ...splitPath(path) })), one => one.directory)) {
      const found = await store.find(area, directory, asked.map(({ name }) => name))
      asked.forEach(({ path, at }, i) => {
        const known = this.#find(path)
        given[at] = known !== undefined && isFileUnchanged(known, found[i], store.traits.times)
      })
    }
    return given
  }

  /** What arrived for a path was not whole: where it was a difference, the next sync asks for the whole file. */
  addFailed (path: RelativePath): void {
    const signature = this.#compared.get(path)
    if (signature !== undefined) this.#failed.push({ area: this.#init.area, path, signature })
  }

  /** The signature of what arrived for a path is known without reading it. */
  addSignature (path: RelativePath, digest: Digest, signature: Uint8Array): void {
    if (this.#describedBytes + signature.length > DESCRIBED_BYTES_MAX) return
    this.#describedBytes += signature.length
    this.#described.push({ path, digest, signature })
  }

  /** What is to be written when the index holds what the sync came to. */
  writes (displaced: readonly Displaced[]): IndexWrite[] {
    this.#last = undefined
    const dropped = displaced.filter(({ path, entry }) => entry.sizeBytes >= SIGNED_FROM_BYTES && this.#isStale(path))
    const { area } = this.#init
    // What took its place in the end decides: a signature goes with one content alone.
    const described = this.#described.splice(0).filter(({ path, digest }) => { const known = this.digestOf(path); return known !== undefined && equalDigests(known, digest) })
    return [
      ...dropped.map(({ path }) => ({ area, path, signature: undefined })),
      ...described.map(({ path, digest, signature }) => ({ area, path, signature: join(digest, signature) })),
      ...this.#failed.splice(0),
    ]
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
    const { area, index } = this.#init
    const { directory, name } = splitPath(path)
    if (this.#last?.directory !== directory) this.#last = { directory, stored: index.directory({ area, directory }) }
    return this.#last.stored === undefined ? undefined : findFile(this.#last.stored, name)
  }
}

function join (digest: Digest, signature: Uint8Array): Uint8Array {
  const joined = new Uint8Array(DIGEST_BYTES + signature.length)
  joined.set(digest)
  joined.set(signature, DIGEST_BYTES)
  return joined
}
