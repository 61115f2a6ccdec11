import { readListing } from '@filesync/protocol'
import type { Digest, FileEntry, RelativePath } from '@filesync/protocol'
import type { EntryPlace, KnownListings } from './known-listings.ts'

/** Names of one folder that may be hard links of one file. */
export interface SharedFile {
  /** The name that is restored first. */
  readonly first: EntryPlace
  /** Its content, once it is in place. */
  digest: Digest | undefined
  readonly others: EntryPlace[]
}

/** Finds names that were hard links of one file: the same file id, size and mtime in one folder. Their digests are compared later. */
export class SharedFiles {
  readonly #repeated: ReadonlySet<bigint>
  readonly #groups = new Map<string, SharedFile>()

  constructor (known: KnownListings) {
    this.#repeated = repeatedIds(known)
  }

  get all (): Iterable<SharedFile> {
    return this.#groups.values()
  }

  /** Whether the file waits for another name of it, which is restored first. To be called once for each file. */
  mustWait (place: EntryPlace, directory: RelativePath, entry: FileEntry): boolean {
    const key = this.#keyOf(directory, entry)
    if (key === undefined) return false
    const group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, { first: place, digest: undefined, others: [] })
    else group.others.push(place)
    return group !== undefined
  }

  /** The group of a file; undefined if it has a single name. */
  groupOf (directory: RelativePath, entry: FileEntry): SharedFile | undefined {
    const key = this.#keyOf(directory, entry)
    return key === undefined ? undefined : this.#groups.get(key)
  }

  #keyOf (directory: RelativePath, { name, fileId, sizeBytes, mtimeNs }: FileEntry): string | undefined {
    if (fileId === 0n || !this.#repeated.has(fileId)) return undefined
    const [folder = name] = directory === '' ? [] : directory.split('/', 1)
    return `${fileId} ${sizeBytes} ${mtimeNs} ${folder}`
  }
}

/** File ids that occur more than once. Sorted as plain numbers, because a set of a million of them would take 100 MB. */
function repeatedIds (known: KnownListings): Set<bigint> {
  let ids = new BigUint64Array(1024)
  let count = 0
  for (const { bytes } of known.all) {
    for (const entry of readListing(bytes)) {
      if (entry.kind !== 'file' || entry.fileId === 0n) continue
      if (count === ids.length) {
        const grown = new BigUint64Array(2 * count)
        grown.set(ids)
        ids = grown
      }
      ids[count++] = entry.fileId
    }
  }
  const sorted = ids.subarray(0, count).sort()
  const repeated = new Set<bigint>()
  for (let i = 1; i < count; i++) {
    const id = sorted[i]
    if (id !== undefined && id === sorted[i - 1]) repeated.add(id)
  }
  return repeated
}
