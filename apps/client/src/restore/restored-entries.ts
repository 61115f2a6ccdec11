import { equalDigests } from '@filesync/protocol'
import type { ArrivedListing, Digest, HashBytes, RelativePath } from '@filesync/protocol'

interface DirectoryDone {
  /** Of the listing that the bits belong to. */
  readonly digest: Digest
  /** One bit for each entry. */
  readonly bits: Uint8Array
}

/** Which entries are in place, so that a new connection does not begin again. A bit for each entry, by directory. */
export class RestoredEntries {
  readonly #hash: HashBytes
  readonly #directories = new Map<RelativePath, DirectoryDone>()

  constructor (hash: HashBytes) {
    this.#hash = hash
  }

  /** What is known of a directory counts only for the very same listing. */
  enter ({ directory, bytes }: ArrivedListing, entries: number): void {
    const digest = this.#hash(bytes)
    const known = this.#directories.get(directory)
    if (known !== undefined && equalDigests(known.digest, digest)) return
    this.#directories.set(directory, { digest, bits: new Uint8Array(Math.ceil(entries / 8)) })
  }

  has (directory: RelativePath, entry: number): boolean {
    const bits = this.#directories.get(directory)?.bits
    return bits !== undefined && ((bits[entry >> 3] ?? 0) & (1 << (entry & 7))) !== 0
  }

  /** Returns whether it was not in place before. */
  add (directory: RelativePath, entry: number): boolean {
    const bits = this.#directories.get(directory)?.bits
    if (bits === undefined || this.has(directory, entry)) return false
    bits[entry >> 3] = (bits[entry >> 3] ?? 0) | (1 << (entry & 7))
    return true
  }
}
