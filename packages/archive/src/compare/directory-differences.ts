import type { Digest, Name, RelativePath } from '@filesync/protocol'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import type { ComparedInit } from './compared-directories.ts'

/** The differences of one directory, as they are found. */
export class DirectoryDifferences {
  readonly directory: RelativePath
  /** Stored names that the client no longer has. */
  readonly gone: Name[] = []
  /** Whether all entries differ and have the roles of new ones, so that nothing is noted of each. */
  readonly #isAllNew: boolean
  readonly #indices: number[] = []
  readonly #roles: number[] = []

  constructor (directory: RelativePath, which: 'all new' | 'some') {
    this.directory = directory
    this.#isAllNew = which === 'all new'
  }

  /** Adds an entry, after those before it. */
  add (index: number, roles: number): void {
    if (this.#isAllNew) return
    this.#indices.push(index)
    this.#roles.push(roles)
  }

  /** @param listing the client's */
  isEmpty (listing: Uint8Array): boolean {
    return this.gone.length === 0 && (this.#isAllNew ? new ListingCursor(listing).count === 0 : this.#indices.length === 0)
  }

  /**
   * The entries that differ.
   *
   * @param listing the client's
   * @param digest of the client's directory; called if `listing` has other entries too
   */
  cut (listing: Uint8Array, digest: () => Digest): Omit<ComparedInit, 'number' | 'isNew'> {
    const { directory, gone } = this
    if (this.#isAllNew) return { directory, listing, gone }
    const roles = Uint8Array.from(this.#roles)
    const cursor = new ListingCursor(listing)
    if (this.#indices.length === cursor.count) return { directory, listing, roles, gone }
    const builder = new ListingBuilder()
    for (const index of this.#indices) {
      while (cursor.index < index) cursor.next()
      builder.add(listing.subarray(cursor.start, cursor.end))
    }
    return { directory, listing: builder.finish(), roles, gone, part: { digest: digest(), indices: Uint32Array.from(this.#indices) } }
  }
}
