import { checkJoin, compareNames, encodeListing, isName, ROOT_PATH, splitPath, DIGEST_BYTES } from '@filesync/protocol'
import type { Digest, Entry, RelativePath } from '@filesync/protocol'
import type { PastTree } from '../past-tree.ts'
import type { PastEntry, PastState } from '../history/past-state.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, RestoreFailure, StoredFileHandle } from '../store/content-store.ts'
import { otherCopies } from './other-copies.ts'

export interface PastTreeInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly path: RelativePath
  readonly state: PastState
  readonly at: PastTree['at']
  readonly doubts: readonly RestoreFailure[]
  /** Called when a file's own copy turned out to be damaged or missing. */
  readonly onDamage: (path: RelativePath, digest: Digest, what: 'damaged' | 'missing') => void
}

/** A file or link of the tree. */
interface TreeFile extends Pick<PastEntry, 'folder'> {
  readonly entry: Entry
  readonly digest: Digest | undefined
}

/** The digest of directories, which is not known. */
const NO_DIGEST = new Uint8Array(DIGEST_BYTES) as Digest

/** A past state, opened for reading. */
export class StoredPastTree implements PastTree {
  readonly at: PastTree['at']
  readonly kind: PastTree['kind']
  readonly files: number
  readonly bytes: number
  readonly directories: number
  readonly doubts: readonly RestoreFailure[]
  readonly #init: PastTreeInit
  readonly #files = new Map<RelativePath, TreeFile>()
  readonly #entries = new Map<RelativePath, Entry[]>()
  readonly #rejected = new Set<RelativePath>()

  constructor (init: PastTreeInit) {
    const { path, state, doubts } = init
    this.#init = init
    this.at = init.at
    const unnamed: RestoreFailure[] = []
    this.#entries.set(ROOT_PATH, [])
    for (const { directory, mode, mtimeNs } of state.directories) {
      if (directory === ROOT_PATH) continue
      const { directory: above, name } = splitPath(directory)
      this.#add(above, { kind: 'directory', name, mode, mtimeNs, digest: NO_DIGEST })
      if (!this.#entries.has(directory)) this.#entries.set(directory, [])
    }
    let bytes = 0
    for (const past of state.files) {
      const entry = entryOf(past)
      if (entry === undefined) {
        unnamed.push({ path: past.path, message: UNNAMED })
        continue
      }
      this.#add(splitPath(past.path).directory, entry)
      this.#files.set(past.path, { entry, folder: past.folder, digest: past.fact?.digest })
      if (entry.kind === 'file') bytes += entry.sizeBytes
    }
    const own = this.#files.get(path)?.entry.kind
    this.kind = own === 'file' || own === 'symlink' ? own : 'directory'
    this.files = this.#files.size
    this.bytes = bytes
    this.directories = state.directories.filter(({ directory }) => directory === path || isBelow(directory, path)).length
    this.doubts = [...doubts, ...unnamed]
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    const entries = this.#entries.get(directory)
    return entries && encodeListing([...entries].sort((a, b) => compareNames(a.name, b.name)))
  }

  digest (path: RelativePath): Digest | undefined {
    return this.#files.get(path)?.digest
  }

  async open (path: RelativePath): Promise<StoredFileHandle | undefined> {
    const { area, store, index, onDamage } = this.#init
    const file = this.#files.get(path)
    if (file?.entry.kind !== 'file') return undefined
    const { entry, folder, digest } = file
    const isRejected = this.#rejected.has(path)
    // After a copy was rejected, it and all others are read before they count.
    const own = await store.openFile?.(area, path, { folder, digest: isRejected ? digest : undefined })
    if (own !== undefined && (digest === undefined || own.sizeBytes === entry.sizeBytes)) return own
    await own?.close()
    if (digest === undefined) return undefined
    if (folder === undefined) onDamage(path, digest, own === undefined && !isRejected ? 'missing' : 'damaged')
    for await (const { from, folder: other } of otherCopies({ area, index, store }, { path, ...entry, digest })) {
      const copy = await store.openFile?.(area, from, { folder: other, digest })
      if (copy !== undefined) return copy
    }
    return undefined
  }

  reject (path: RelativePath): void {
    this.#rejected.add(path)
  }

  async close (): Promise<void> {
    this.#files.clear()
    this.#entries.clear()
    await Promise.resolve()
  }

  #add (directory: RelativePath, entry: Entry): void {
    const entries = this.#entries.get(directory)
    if (entries === undefined) this.#entries.set(directory, [entry])
    else entries.push(entry)
  }
}

const UNNAMED = 'it was put into the archive by hand under a name that no client can have; "filesync-server restore" restores it'

/** The entry of a file or link; undefined if it has a name that no listing may have. */
function entryOf ({ path, entry, found }: PastEntry): Entry | undefined {
  if (entry !== undefined) return entry.kind === 'directory' ? undefined : entry
  const { directory, name } = splitPath(path)
  if (found === undefined || !isName(name) || checkJoin(directory, name) !== undefined) return undefined
  const { sizeBytes, mtimeNs, mode, target } = found
  if (found.kind === 'symlink') return { kind: 'symlink', name, mtimeNs, target }
  return found.kind === 'file' ? { kind: 'file', name, sizeBytes, mtimeNs, mode, fileId: 0n } : undefined
}

function isBelow (path: RelativePath, top: RelativePath): boolean {
  return top === ROOT_PATH || path.startsWith(`${top}/`)
}
