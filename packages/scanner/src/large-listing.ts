import { compareNames, joinPages, leafPages, PageTree } from '@filesync/protocol'
import type { HashBytes, LeafPage, Name } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import { NOTHING_ODD } from './node-tally.ts'

/** One page of a listing with the subdirectories that it lists. */
export interface ListingPage extends LeafPage {
  readonly children: readonly DirectoryNode[]
  /** Whether one of them has, or has below it, what is not usual. */
  readonly isOdd: boolean
}

/** The listing of a directory of more than one page. Immutable: a later one shares the pages that did not change. */
export class LargeListing {
  readonly pages: readonly ListingPage[]
  readonly tree: PageTree
  readonly entries: number

  constructor (pages: readonly ListingPage[], hash: HashBytes) {
    this.pages = pages
    this.tree = new PageTree(pages, hash)
    this.entries = this.tree.top.entries
  }

  /** Cuts a whole listing of more than one page. */
  static cut (listing: Uint8Array, children: readonly DirectoryNode[], hash: HashBytes): LargeListing {
    return new LargeListing(pagesOf(listing, children, hash), hash)
  }

  /** The whole listing, as a copy. */
  join (): Uint8Array {
    return joinPages(this.pages.map(({ bytes }) => bytes))
  }

  /** Index of the page that has a name, or would have it. */
  pageOf (name: Name): number {
    let low = 0
    let high = this.pages.length - 1
    while (low < high) {
      const middle = low + high + 1 >>> 1
      if (compareNames(this.pages[middle]?.firstName ?? '', name) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The subdirectories of the page that has a name, or would have it. */
  childrenNear (name: Name): readonly DirectoryNode[] {
    return this.pages[this.pageOf(name)]?.children ?? []
  }
}

/** The pages of a listing, each with its subdirectories. Only the first page of a listing that is short enough for one. */
export function pagesOf (listing: Uint8Array, children: readonly DirectoryNode[], hash: HashBytes): ListingPage[] {
  const leaves = [...leafPages(listing, hash)]
  const groups = [...splitChildren(leaves, children)]
  return leaves.map((leaf, at) => pageWith(leaf, groups[at] ?? []))
}

/** A page with the subdirectories that it lists. */
export function pageWith (leaf: LeafPage, children: readonly DirectoryNode[]): ListingPage {
  return { ...leaf, children, isOdd: children.some(({ odd }) => odd !== NOTHING_ODD) }
}

/** Divides nodes among the pages of a listing by the names with which the pages begin. */
function * splitChildren (
  pages: readonly { readonly firstName: Name }[], children: readonly DirectoryNode[],
): Generator<readonly DirectoryNode[], void, undefined> {
  let at = 0
  for (const index of pages.keys()) {
    const next = pages[index + 1]
    const from = at
    while (at < children.length && (next === undefined || compareNames(children[at]?.name ?? '', next.firstName) < 0)) at++
    yield at === from ? [] : children.slice(from, at)
  }
}
