import { checkJoin, DIGEST_BYTES, encodeListing, isName, ROOT_PATH, splitPath, compareNames } from '@filesync/protocol'
import type { Digest, DirectoryEntry, Entry, RelativePath } from '@filesync/protocol'
import type { RestoredMoment } from '../archive.ts'
import type { PastTree } from '../past-tree.ts'
import type { PastEntry } from '../history/packed-state.ts'
import type { PastState } from '../history/past-state.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, RestoreFailure, SmallFile, StoredFileHandle } from '../store/content-store.ts'
import { mergeListings } from '../store/merge-listings.ts'
import { OtherCopies } from './other-copies.ts'

export interface PastTreeInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly path: RelativePath
  readonly state: PastState
  readonly at: RestoredMoment
  readonly doubts: readonly RestoreFailure[]
  /** Called when a file's own copy turned out to be damaged or missing. */
  readonly onDamage: (path: RelativePath, digest: Digest, what: 'damaged' | 'missing') => void
}

/** The digest of directories, which is not known. */
const NO_DIGEST = new Uint8Array(DIGEST_BYTES) as Digest
const UNNAMED = 'it was put into the archive by hand under a name that no client can have; "filesync-server restore" restores it'

/** A past state, opened for reading. */
export class StoredPastTree implements PastTree {
  readonly at: RestoredMoment
  readonly kind: PastTree['kind']
  readonly files: number
  readonly bytes: number
  readonly directories: number
  readonly doubts: readonly RestoreFailure[]
  readonly #init: PastTreeInit
  /** The directories of each directory. */
  readonly #below = new Map<RelativePath, DirectoryEntry[]>()
  readonly #rejected = new Set<RelativePath>()
  readonly #copies: OtherCopies

  constructor (init: PastTreeInit) {
    const { path, state, doubts } = init
    this.#init = init
    this.#copies = new OtherCopies(init)
    this.at = init.at
    let directories = 0
    for (const { directory, mode, mtimeNs } of state.directories.values()) {
      if (directory === ROOT_PATH) continue
      const { directory: parent, name } = splitPath(directory)
      const entry: DirectoryEntry = { kind: 'directory', name, mode, mtimeNs, digest: NO_DIGEST }
      const siblings = this.#below.get(parent)
      if (siblings === undefined) this.#below.set(parent, [entry])
      else siblings.push(entry)
      if (path === ROOT_PATH || directory === path || directory.startsWith(`${path}/`)) directories++
    }
    const unlisted = [...state.files.filled()].flatMap(directory => state.files.unlisted(directory))
    const unnamed = unlisted.filter(one => listedEntry(one) === undefined)
    const own = state.files.find(path)
    const kind = (own?.entry ?? own?.found)?.kind
    this.kind = kind === 'file' || kind === 'symlink' ? kind : 'directory'
    this.files = state.files.count - unnamed.length
    this.bytes = state.files.bytes - unnamed.reduce((sum, { found }) => sum + (found?.kind === 'file' ? found.sizeBytes : 0), 0)
    this.directories = directories
    this.doubts = [...doubts, ...unnamed.map(({ path: at }) => ({ path: at, message: UNNAMED }))]
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    const { files, directories } = this.#init.state
    if (directory !== ROOT_PATH && !directories.has(directory)) return undefined
    const inside = [...this.#below.get(directory) ?? []].sort((a, b) => compareNames(a.name, b.name))
    const unlisted = files.unlisted(directory).flatMap(one => listedEntry(one) ?? []).sort((a, b) => compareNames(a.name, b.name))
    const listings = [files.listing(directory), encodeListing(inside), encodeListing(unlisted)]
    return mergeListings(listings.filter(listing => listing !== undefined))
  }

  digest (path: RelativePath): Digest | undefined {
    return this.#init.state.files.find(path)?.digest
  }

  async open (path: RelativePath): Promise<StoredFileHandle | undefined> {
    const { area, store, onDamage, state } = this.#init
    const file = state.files.find(path)
    if (file === undefined) return undefined
    const entry = listedEntry(file)
    if (entry?.kind !== 'file') return undefined
    const { folder, digest } = file
    const isRejected = this.#rejected.has(path)
    // After a copy was rejected, it and all others are read before they count.
    const own = await store.openFile?.(area, path, { folder, digest: isRejected ? digest : undefined })
    if (own !== undefined && (digest === undefined || own.sizeBytes === entry.sizeBytes)) return own
    await own?.close()
    if (digest === undefined) return undefined
    if (folder === undefined) onDamage(path, digest, own === undefined && !isRejected ? 'missing' : 'damaged')
    for await (const { from, folder: other } of this.#copies.of({ path, ...entry, digest })) {
      const copy = await store.openFile?.(area, from, { folder: other, digest })
      if (copy !== undefined) return copy
    }
    return undefined
  }

  async readSmall (
    files: readonly { readonly path: RelativePath, readonly sizeBytes: number }[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const { area, store, state } = this.#init
    const wanted: SmallFile[] = []
    const places: number[] = []
    for (const [place, { path, sizeBytes }] of files.entries()) {
      const { digest, folder } = state.files.find(path) ?? {}
      if (digest === undefined || this.#rejected.has(path)) continue
      wanted.push({ path, folder, sizeBytes, digest })
      places.push(place)
    }
    const read = wanted.length === 0 ? [] : await store.readSmall?.(area, wanted) ?? []
    const contents = files.map((): Uint8Array | undefined => undefined)
    places.forEach((place, i) => { contents[place] = read[i] })
    return contents
  }

  reject (path: RelativePath): void {
    this.#rejected.add(path)
  }

  async close (): Promise<void> {
    this.#below.clear()
    this.#rejected.clear()
    this.#init.state.files.close()
    await Promise.resolve()
  }
}

/** The entry of a file or link; undefined if it has a name that no listing may have. */
function listedEntry ({ path, entry, found }: PastEntry): Exclude<Entry, DirectoryEntry> | undefined {
  if (entry !== undefined) return entry.kind === 'directory' ? undefined : entry
  const { directory, name } = splitPath(path)
  if (found === undefined || !isName(name) || checkJoin(directory, name) !== undefined) return undefined
  const { sizeBytes, mtimeNs, mode, target } = found
  if (found.kind === 'symlink') return { kind: 'symlink', name, mtimeNs, target }
  return found.kind === 'file' ? { kind: 'file', name, sizeBytes, mtimeNs, mode, fileId: 0n } : undefined
}
