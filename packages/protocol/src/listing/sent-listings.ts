import type { ListingIndex } from './listing-index.ts'
import type { Name } from './name.ts'
import { joinPath, ROOT_PATH } from './relative-path.ts'
import type { RelativePath } from './relative-path.ts'

/** Where a page or table is in the page tree of its directory. */
export interface SentPage {
  /** 0 for a page of entries. */
  readonly level: number
  readonly position: number
}

/**
 * The listings, pages and tables that were sent, by number. There may be a million directories, so only the name of each is kept, and the
 * number of the listing that names it.
 */
export class SentListings {
  readonly #parents: number[] = []
  /** Undefined for a page or table below the top of its directory, which is its parent. */
  readonly #names: (Name | undefined)[] = []
  readonly #pages = new Map<number, SentPage>()
  readonly #indexes = new Map<number, ListingIndex>()

  /** Number of all. */
  get count (): number {
    return this.#parents.length
  }

  /**
   * Adds the top of a directory, and returns its number.
   *
   * @param parent the number of the listing that names it; itself for the root
   */
  addDirectory (parent: number, name: Name, page: SentPage | undefined): number {
    return this.#add(parent, name, page)
  }

  /** Adds a page or table that the table with the number `parent` names. */
  addPage (parent: number, page: SentPage): number {
    return this.#add(parent, undefined, page)
  }

  /** The place of a page or table; undefined for the only page of a directory. */
  pageOf (number: number): SentPage | undefined {
    return this.#pages.get(number)
  }

  /** The directory that a listing, page or table belongs to. */
  directoryOf (number: number): RelativePath {
    const names: Name[] = []
    for (let at = number; at > 0; at = this.#parents[at] ?? 0) {
      const name = this.#names[at]
      if (name !== undefined) names.push(name)
    }
    return names.reduceRight((path, name) => joinPath(path, name), ROOT_PATH)
  }

  indexOf (number: number): ListingIndex | undefined {
    return this.#indexes.get(number)
  }

  keepIndex (number: number, index: ListingIndex): void {
    this.#indexes.set(number, index)
  }

  #add (parent: number, name: Name | undefined, page: SentPage | undefined): number {
    const number = this.#parents.push(parent) - 1
    this.#names.push(name)
    if (page !== undefined) this.#pages.set(number, page)
    return number
  }
}
