import { compareNames, joinPages, PageTree } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { RewrittenPage } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import {
  checkKept, cutDirectory, isLong, isPaged, joinDirectories, leafFor, onePage, rewritten, withoutContent,
} from '../store/stored-pages.ts'
import type { FoundPage, StoredPage, StoredPages, WrittenPage } from '../store/stored-pages.ts'

/** A directory of one page, or the pages of a longer one. */
type MemoryDirectory = StoredDirectory | readonly WrittenPage[]

/** The directories of one area. */
export class MemoryDirectories {
  readonly #directories = new Map<RelativePath, MemoryDirectory>()

  list (): { readonly directory: RelativePath, readonly files: number }[] {
    return [...this.#directories]
      .map(([directory, held]) => ({ directory, files: pagesIn(held).reduce((sum, page) => sum + page.facts.length, 0) / FACT_BYTES }))
      .sort((a, b) => a.directory < b.directory ? -1 : 1)
  }

  stored (directory: RelativePath): StoredDirectory | StoredPages | undefined {
    const held = this.#directories.get(directory)
    return held === undefined || 'listing' in held ? held : pagesOf(held)
  }

  directory (directory: RelativePath): StoredDirectory | undefined {
    const held = this.#directories.get(directory)
    return held === undefined ? undefined : joinDirectories(pagesIn(held))
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    const held = this.#directories.get(directory)
    return held === undefined ? undefined : joinPages(pagesIn(held).map(({ listing }) => listing))
  }

  pages (directory: RelativePath): StoredPages | undefined {
    const stored = this.stored(directory)
    return stored === undefined || isPaged(stored) ? stored : onePage(stored, hashBytes)
  }

  page (directory: RelativePath, name: Name): FoundPage | undefined {
    const held = this.#directories.get(directory)
    if (held === undefined) return undefined
    if ('listing' in held) return { ...held, from: undefined, before: undefined }
    const at = leafFor(held, ({ firstName }) => compareNames(firstName, name) > 0)
    const [page, next] = held.slice(at, at + 2)
    if (page === undefined) throw new RangeError('A directory of several pages has none.')
    const from = compareNames(page.firstName, name) > 0 ? undefined : page.firstName
    return { ...page.stored, from, before: next?.firstName }
  }

  put (directory: RelativePath, stored: StoredDirectory): void {
    this.#directories.set(directory, isLong(stored.listing) ? cutDirectory(stored, hashBytes) : stored)
  }

  patch (directory: RelativePath, leaves: readonly (StoredPage | WrittenPage)[]): void {
    const held = this.#directories.get(directory)
    const old = new Map(held === undefined || 'listing' in held ? [] : held.map(page => [page.firstName, page]))
    checkKept(leaves, name => old.get(name))
    this.#directories.set(directory, leaves.flatMap(page => 'stored' in page ? page : old.get(page.firstName) ?? []))
  }

  rewrite (directory: RelativePath, pages: readonly RewrittenPage[]): void {
    const held = this.#directories.get(directory)
    this.patch(directory, rewritten(held === undefined || 'listing' in held ? [] : held.map(withoutContent), pages, hashBytes))
  }

  drop (directory: RelativePath, recursive: boolean): void {
    this.#directories.delete(directory)
    for (const path of this.#directories.keys()) if (recursive && path.startsWith(`${directory}/`)) this.#directories.delete(path)
  }
}

function pagesIn (held: MemoryDirectory): readonly StoredDirectory[] {
  return 'listing' in held ? [held] : held.map(({ stored }) => stored)
}

function pagesOf (pages: readonly WrittenPage[]): StoredPages {
  const leaves = pages.map(withoutContent)
  const read = (leaf: number): StoredDirectory => {
    const page = pages[leaf]
    if (page === undefined) throw new RangeError(`The directory has no page ${String(leaf)}.`)
    return page.stored
  }
  return { leaves, tree: () => new PageTree(leaves, hashBytes), read, listing: leaf => read(leaf).listing }
}
