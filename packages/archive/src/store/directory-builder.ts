import { endsPage, LIMITS, nameHash } from '@filesync/protocol'
import type { HashBytes, Name } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import type { StoredDirectory } from './fold.ts'
import { ByteRanges, ListingBuilder } from './listing-cursor.ts'
import type { ListingCursor } from './listing-cursor.ts'
import type { WrittenPage } from './stored-pages.ts'

/** Where an encoded entry and its name are. */
export type EntryRange = Pick<ListingCursor, 'bytes' | 'start' | 'end' | 'nameStart' | 'nameEnd'>

/** Where the facts of a file are. */
export interface FactRange {
  readonly bytes: Uint8Array
  readonly at: number
}

/** Collects entries in name order, with the facts of those that are files. */
export interface EntrySink {
  add (entry: EntryRange, fact: FactRange | undefined): void
}

const NO_FACTS = new Uint8Array(0)

/** Collects entries into one directory. */
export class DirectoryBuilder implements EntrySink {
  readonly #listing = new ListingBuilder()
  readonly #facts = new ByteRanges()

  get count (): number {
    return this.#listing.count
  }

  get files (): number {
    return this.#facts.sizeBytes / FACT_BYTES
  }

  add ({ bytes, start, end }: EntryRange, fact: FactRange | undefined): void {
    this.#listing.addRange(bytes, start, end)
    if (fact !== undefined) this.#facts.add(fact.bytes, fact.at, fact.at + FACT_BYTES)
  }

  finish (): StoredDirectory {
    const facts = this.#facts.sizeBytes === 0 ? NO_FACTS : new Uint8Array(this.#facts.sizeBytes)
    this.#facts.copyTo(facts, 0)
    return { listing: this.#listing.finish(), facts }
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Collects consecutive entries from the beginning of a page on, and cuts them into pages as `leafPages` does. */
export class PageBuilder implements EntrySink {
  readonly #hash: HashBytes
  readonly #ended: (page: WrittenPage) => void
  #page = new DirectoryBuilder()
  #firstName = '' as Name

  /** @param ended is called with each page when the first entry after it is added, and by `end` */
  constructor (hash: HashBytes, ended: (page: WrittenPage) => void) {
    this.#hash = hash
    this.#ended = ended
  }

  /** Whether everything that was added is in pages that ended. */
  get isEmpty (): boolean {
    return this.#page.count === 0
  }

  add (entry: EntryRange, fact: FactRange | undefined): void {
    const { bytes, nameStart, nameEnd } = entry
    if (this.#endsBefore(bytes, nameStart, nameEnd)) this.end()
    if (this.isEmpty) this.#firstName = decoder.decode(bytes.subarray(nameStart, nameEnd)) as Name
    this.#page.add(entry, fact)
  }

  /** Whether the page so far ends if the next entry has this name. */
  endsBefore (name: Uint8Array): boolean {
    return this.#endsBefore(name, 0, name.length)
  }

  /** Ends the page. */
  end (): void {
    if (this.isEmpty) return
    const { count: entries, files } = this.#page
    const stored = this.#page.finish()
    this.#page = new DirectoryBuilder()
    this.#ended({ firstName: this.#firstName, entries, digest: this.#hash(stored.listing), files, stored })
  }

  #endsBefore (bytes: Uint8Array, start: number, end: number): boolean {
    const { count } = this.#page
    return count >= LIMITS.pageMinEntries && endsPage(count, nameHash(bytes, start, end), 0)
  }
}
