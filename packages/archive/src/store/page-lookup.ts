import { compareNames } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { FoundPage } from './stored-pages.ts'

/** Finds the pages of names, and keeps the last one: lookups come nearly in the order of the listings. */
export class PageLookup {
  readonly #index: ArchiveIndex
  readonly #area: string
  #last: { readonly directory: RelativePath, readonly page: FoundPage | undefined } | undefined

  constructor (index: ArchiveIndex, area: string) {
    this.#index = index
    this.#area = area
  }

  /** The page that has a name if its directory has it; undefined if the index does not have the directory. */
  find (directory: RelativePath, name: Name): FoundPage | undefined {
    if (this.#last?.directory !== directory || !covers(this.#last.page, name)) {
      this.#last = { directory, page: this.#index.page({ area: this.#area, directory }, name) }
    }
    return this.#last.page
  }

  /** Call it after the index changed. */
  invalidate (): void {
    this.#last = undefined
  }
}

function covers (page: FoundPage | undefined, name: Name): boolean {
  if (page === undefined) return true
  const { from, before } = page
  return (from === undefined || compareNames(from, name) <= 0) && (before === undefined || compareNames(name, before) < 0)
}
