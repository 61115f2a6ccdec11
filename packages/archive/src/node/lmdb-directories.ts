import { equalDigests, joinPages, PageTree } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { Database, RootDatabase } from 'lmdb'
import type { DirectoryKey, RewrittenPage } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { checkKept, cutDirectory, digestOfStored, isLong, isPaged, joinDirectories, onePage, rewritten } from '../store/stored-pages.ts'
import type { FoundPage, StoredPage, StoredPages, WrittenPage } from '../store/stored-pages.ts'
import { decodeTable, encodeTable, isTable } from './lmdb-page-table.ts'
import { asBuffer, copyOf, directoryKey, keysBelow, keysOf, pageKey, pageKeysOf, pageNameOf } from './lmdb-records.ts'

type Bytes = Database<Buffer, Buffer>

/** Directories that are listed at once. No read is open in between: it would keep the space of what is replaced from being used again. */
const KEYS_AT_ONCE = 512
/** In place of the facts of a directory of several pages: the number of its files. No number of facts takes so many bytes. */
const COUNT_BYTES = 4

/**
 * The directories of an index. A directory of one page has its listing and its facts under its key. A longer one has the table of its
 * pages there; the pages are in databases of their own, under the key followed by NUL and their first name.
 */
export class LmdbDirectories {
  readonly #listings: Bytes
  readonly #facts: Bytes
  readonly #pages: Bytes
  readonly #pageFacts: Bytes
  readonly #hash: HashBytes
  /** Spares archives without long directories a look at what a write replaces. */
  #hasPages: boolean

  constructor (root: RootDatabase<Buffer, Buffer>, hash: HashBytes) {
    const open = (name: string): Bytes => root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' })
    this.#listings = open('listings')
    this.#facts = open('facts')
    this.#pages = open('pages')
    this.#pageFacts = open('page facts')
    this.#hash = hash
    this.#hasPages = [...this.#pages.getKeys({ limit: 1 })].length > 0
  }

  get databases (): readonly Bytes[] {
    return [this.#listings, this.#facts, this.#pages, this.#pageFacts]
  }

  stored (key: DirectoryKey): StoredDirectory | StoredPages | undefined {
    const at = directoryKey(key)
    const listing = this.#listings.getBinary(at)
    if (listing === undefined) return undefined
    if (isTable(listing)) return this.#pagesAt(at, decodeTable(listing))
    return { listing: copyOf(listing), facts: copyOf(this.#facts.getBinary(at) ?? EMPTY_DIRECTORY.facts) }
  }

  directory (key: DirectoryKey): StoredDirectory | undefined {
    const stored = this.stored(key)
    if (stored === undefined || !isPaged(stored)) return stored
    return joinDirectories(stored.leaves.map((_, leaf) => stored.read(leaf)))
  }

  listing (key: DirectoryKey): Uint8Array | undefined {
    const at = directoryKey(key)
    const listing = this.#listings.getBinary(at)
    if (listing === undefined) return undefined
    if (!isTable(listing)) return copyOf(listing)
    return joinPages(decodeTable(listing).map(({ firstName }) => this.#pageListing(pageKey(at, firstName))))
  }

  pages (key: DirectoryKey): StoredPages | undefined {
    const stored = this.stored(key)
    return stored === undefined || isPaged(stored) ? stored : onePage(stored, this.#hash)
  }

  page (key: DirectoryKey, name: Name): FoundPage | undefined {
    const at = directoryKey(key)
    // Not the faster call: what it returns is longer than the record.
    const listing = this.#listings.getBinary(at)
    if (listing === undefined) return undefined
    if (isTable(listing)) return this.#pageFor(at, name)
    const stored = { listing: copyOf(listing), facts: copyOf(this.#facts.getBinary(at) ?? EMPTY_DIRECTORY.facts) }
    return { ...stored, from: undefined, before: undefined }
  }

  digest (key: DirectoryKey): Digest | undefined {
    const stored = this.stored(key)
    return stored === undefined ? undefined : digestOfStored(stored, this.#hash)
  }

  * directories (
    area: string, after?: RelativePath,
  ): Generator<{ readonly directory: RelativePath, readonly files: number }, void, undefined> {
    for (let last = after; ;) {
      const keys = [...this.#listings.getKeys({ ...keysOf(area, last), limit: KEYS_AT_ONCE })]
      for (const key of keys) {
        last = key.toString().slice(area.length + 1) as RelativePath
        yield { directory: last, files: this.#filesAt(key) }
      }
      if (keys.length < KEYS_AT_ONCE) return
    }
  }

  put (key: DirectoryKey, stored: StoredDirectory): void {
    if (isLong(stored.listing)) {
      this.patch(key, cutDirectory(stored, this.#hash))
      return
    }
    const at = directoryKey(key)
    if (this.#hasPages) for (const { firstName } of this.#tableAt(at)) this.#removePage(pageKey(at, firstName))
    this.#listings.putSync(at, asBuffer(stored.listing))
    if (stored.facts.length > 0) this.#facts.putSync(at, asBuffer(stored.facts))
    else this.#facts.removeSync(at)
  }

  patch (key: DirectoryKey, leaves: readonly (StoredPage | WrittenPage)[]): void {
    const at = directoryKey(key)
    const old = new Map(this.#tableAt(at).map(page => [page.firstName, page]))
    checkKept(leaves, name => old.get(name))
    for (const page of leaves) {
      if ('stored' in page) this.#putPage(pageKey(at, page.firstName), page, old.get(page.firstName))
      old.delete(page.firstName)
    }
    for (const firstName of old.keys()) this.#removePage(pageKey(at, firstName))
    this.#hasPages = true
    this.#listings.putSync(at, encodeTable(leaves))
    const count = Buffer.alloc(COUNT_BYTES)
    count.writeUInt32BE(leaves.reduce((sum, { files }) => sum + files, 0))
    this.#facts.putSync(at, count)
  }

  rewrite (key: DirectoryKey, pages: readonly RewrittenPage[]): void {
    this.patch(key, rewritten(this.#tableAt(directoryKey(key)), pages, this.#hash))
  }

  drop (key: DirectoryKey, recursive: boolean): void {
    const at = directoryKey(key)
    const keys = recursive ? keysOfRange(this.#listings, keysBelow(at)) : []
    for (const gone of [at, ...keys]) {
      this.#listings.removeSync(gone)
      this.#facts.removeSync(gone)
    }
    if (!this.#hasPages) return
    const below = recursive ? keysOfRange(this.#pages, keysBelow(at)) : []
    for (const gone of [...keysOfRange(this.#pages, pageKeysOf(at)), ...below]) this.#removePage(gone)
  }

  #tableAt (at: Buffer): StoredPage[] {
    const record = this.#listings.getBinary(at)
    return record !== undefined && isTable(record) ? decodeTable(record) : []
  }

  #pagesAt (at: Buffer, leaves: readonly StoredPage[]): StoredPages {
    let tree: PageTree | undefined
    const nameOf = (leaf: number): Name => {
      const page = leaves[leaf]
      if (page === undefined) throw new RangeError(`The directory has no page ${String(leaf)}.`)
      return page.firstName
    }
    return {
      leaves,
      tree: () => tree ??= new PageTree(leaves, this.#hash),
      read: leaf => this.#pageAt(pageKey(at, nameOf(leaf))),
      listing: leaf => this.#pageListing(pageKey(at, nameOf(leaf))),
    }
  }

  #pageFor (at: Buffer, name: Name): FoundPage {
    const range = pageKeysOf(at)
    const wanted = pageKey(at, name)
    const [found] = this.#pages.getKeys({ start: wanted, end: range.start, reverse: true, limit: 1 })
    const [first] = found === undefined ? this.#pages.getKeys({ ...range, limit: 1 }) : []
    const key = Buffer.from(found ?? first ?? wanted)
    const [next] = this.#pages.getKeys({ start: Buffer.concat([key, Buffer.alloc(1)]), end: range.end, limit: 1 })
    return {
      ...this.#pageAt(key),
      from: found === undefined ? undefined : pageNameOf(at, key),
      before: next === undefined ? undefined : pageNameOf(at, next),
    }
  }

  #pageAt (key: Buffer): StoredDirectory {
    return { listing: this.#pageListing(key), facts: copyOf(this.#pageFacts.getBinary(key) ?? EMPTY_DIRECTORY.facts) }
  }

  #pageListing (key: Buffer): Uint8Array {
    const listing = this.#pages.getBinary(key)
    if (listing === undefined) throw new RangeError('A page is missing from the index, or was replaced while its directory was read.')
    return copyOf(listing)
  }

  #putPage (key: Buffer, { digest, stored: { listing, facts } }: WrittenPage, old: StoredPage | undefined): void {
    if (old === undefined || !equalDigests(old.digest, digest)) this.#pages.putSync(key, asBuffer(listing))
    const known = old === undefined ? undefined : this.#pageFacts.getBinary(key)
    if (facts.length === 0) this.#pageFacts.removeSync(key)
    else if (known === undefined || !equalDigests(known, facts)) this.#pageFacts.putSync(key, asBuffer(facts))
  }

  #removePage (key: Buffer): void {
    this.#pages.removeSync(key)
    this.#pageFacts.removeSync(key)
  }

  #filesAt (key: Buffer): number {
    const lengthBytes = this.#facts.getBinaryFast(key)?.length ?? 0
    return lengthBytes === COUNT_BYTES ? this.#facts.getBinary(key)?.readUInt32BE() ?? 0 : lengthBytes / FACT_BYTES
  }
}

function keysOfRange (database: Bytes, range: { readonly start: Buffer, readonly end: Buffer }): Buffer[] {
  return Array.from(database.getKeys(range), key => Buffer.from(key))
}
