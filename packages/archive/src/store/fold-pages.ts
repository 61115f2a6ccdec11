import { compareNames, LIMITS } from '@filesync/protocol'
import type { HashBytes, Name } from '@filesync/protocol'
import { PageBuilder } from './directory-builder.ts'
import { EMPTY_DIRECTORY, foldPage, nextRun } from './fold.ts'
import type { Fold } from './fold.ts'
import { leafFor, withoutContent } from './stored-pages.ts'
import type { StoredPage, StoredPages, WrittenPage } from './stored-pages.ts'

/** What {@link foldPages} changes: the fold, and the names whose digests it gives. */
export interface PagedFold extends Fold {
  readonly digests: ReadonlySet<Name>
}

export interface FoldLimits {
  readonly hash: HashBytes
  /** About how many bytes of pages are held before they are given out. */
  readonly stepBytes: number
}

/** All pages of a directory after a step; those that are written for it bring their content. */
export type PageStep = readonly (StoredPage | WrittenPage)[]

/** The bytes of a page in a table, and of its keys. */
const ROW_BYTES = 128

const encoder = new TextEncoder()

/**
 * Applies changes to a directory page by page: only the pages of changed names are read and cut again, and those after them until a cut is
 * where it was before. Yields the state of the directory whenever enough pages wait to be written, and at last the result. If that has few
 * enough entries for one page, it is all that is yielded.
 */
export function * foldPages (old: StoredPages, fold: PagedFold, limits: FoldLimits): Generator<PageStep, void, undefined> {
  const pages = new PagesFold(old, fold, limits.hash)
  while (pages.next()) {
    if (pages.heldBytes >= limits.stepBytes && pages.doneEntries > LIMITS.pageEntries) yield pages.takeStep()
  }
  yield pages.takeStep()
}

class PagesFold {
  readonly #old: StoredPages
  readonly #fold: PagedFold
  readonly #names: ChangedNames
  readonly #builder: PageBuilder
  /** The pages before `#at`. */
  #done: (StoredPage | WrittenPage)[] = []
  /** The first old page that is neither kept nor folded. */
  #at = 0
  #heldBytes = 0

  constructor (old: StoredPages, fold: PagedFold, hash: HashBytes) {
    this.#old = old
    this.#fold = fold
    this.#names = new ChangedNames(fold)
    this.#builder = new PageBuilder(hash, page => {
      this.#done.push(page)
      this.#heldBytes += page.stored.listing.length + page.stored.facts.length + ROW_BYTES
    })
  }

  /** Bytes of the pages that are to be written. */
  get heldBytes (): number {
    return this.#heldBytes
  }

  /** Number of entries that the directory has at least in the end. */
  get doneEntries (): number {
    return this.#done.reduce((sum, { entries }) => sum + entries, 0)
  }

  /** Folds the next pages up to a boundary that stays. False if there are none. */
  next (): boolean {
    const { leaves } = this.#old
    const first = this.#names.next()
    const start = first === undefined ? leaves.length : this.#firstPageOf(first)
    for (const page of leaves.slice(this.#at, start)) this.#done.push(page)
    this.#at = start
    if (first === undefined) return false
    do this.#foldNext(); while (this.#at < leaves.length && !this.#isInStep())
    this.#builder.end()
    return true
  }

  /** The state of the directory. Its pages are no longer held. */
  takeStep (): PageStep {
    const step = [...this.#done, ...this.#old.leaves.slice(this.#at)]
    this.#done = this.#done.map(page => 'stored' in page ? withoutContent(page) : page)
    this.#heldBytes = 0
    return step
  }

  #foldNext (): void {
    const { leaves } = this.#old
    const page = this.#at < leaves.length ? this.#old.read(this.#at) : EMPTY_DIRECTORY
    const before = leaves[++this.#at]?.firstName
    foldPage(page, this.#fold, { sink: this.#builder, before: before === undefined ? undefined : encoder.encode(before) })
    this.#names.skipTo(before)
  }

  /** Whether the next old page begins a page as before, and has no change. */
  #isInStep (): boolean {
    const next = this.#names.next()
    if (next !== undefined && this.#firstPageOf(next) <= this.#at) return false
    return this.#builder.endsBefore(encoder.encode(this.#old.leaves[this.#at]?.firstName))
  }

  // If the first name of a page goes, the page before it may end elsewhere.
  #firstPageOf (name: Name): number {
    const { leaves } = this.#old
    const page = leafFor(leaves, ({ firstName }) => compareNames(firstName, name) > 0)
    return Math.max(this.#at, page > 0 && leaves[page]?.firstName === name ? page - 1 : page)
  }
}

/** The names that a fold changes, in order. */
class ChangedNames {
  readonly #fold: PagedFold
  /** Sorted, and in each the position of the first name that is not skipped. */
  readonly #lists: { readonly names: readonly Name[], at: number }[]

  constructor (fold: PagedFold) {
    this.#fold = fold
    this.#lists = [fold.removed, fold.digests]
      .map(names => ({ names: [...names].sort(compareNames) as Name[], at: 0 }))
  }

  /** The first one that is not skipped. Names of sections are skipped as they are folded. */
  next (): Name | undefined {
    let next = nextRun(this.#fold.runs)?.cursor.name()
    for (const { names, at } of this.#lists) {
      const name = names[at]
      if (name !== undefined && (next === undefined || compareNames(name, next) < 0)) next = name
    }
    return next
  }

  /** Skips the names before one; all if it is undefined. */
  skipTo (before: Name | undefined): void {
    for (const list of this.#lists) {
      const { names } = list
      const isSkipped = (name: Name | undefined): boolean => name !== undefined && (before === undefined || compareNames(name, before) < 0)
      while (isSkipped(names[list.at])) list.at++
    }
  }
}
