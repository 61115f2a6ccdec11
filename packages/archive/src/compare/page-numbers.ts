import type { Digest, EntryReference } from '@filesync/protocol'

/** The pages that the listing of one directory came in, as far as they were needed: where each one is in all of them together. */
export class PageNumbers {
  /** Of the whole directory. */
  readonly digest: Digest
  readonly #numbers: Uint32Array
  /** By page, how many entries come before it. */
  readonly #firsts: Uint32Array

  /**
   * @param pages in name order; the number of each as a listing of the session, and its entries
   * @param digest of the whole directory
   */
  constructor (pages: readonly { readonly number: number, readonly entries: number }[], digest: Digest) {
    this.digest = digest
    this.#numbers = Uint32Array.from(pages, ({ number }) => number)
    this.#firsts = new Uint32Array(pages.length)
    let first = 0
    for (const [at, { entries }] of pages.entries()) {
      this.#firsts[at] = first
      first += entries
    }
  }

  /** The page with an entry of all of them together, and the index of the entry in it. */
  at (index: number): EntryReference {
    let low = 0
    for (let high = this.#firsts.length; high - low > 1;) {
      const middle = (low + high) >>> 1
      if ((this.#firsts[middle] ?? 0) <= index) low = middle
      else high = middle
    }
    return [this.#numbers[low] ?? 0, index - (this.#firsts[low] ?? 0)]
  }

  /** About how much memory it takes. */
  get sizeBytes (): number {
    return 512 + this.#numbers.byteLength + this.#firsts.byteLength
  }
}
