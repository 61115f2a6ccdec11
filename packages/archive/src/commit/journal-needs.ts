import type { IndexWrite } from '../store/archive-index.ts'

/** The journal entries that directories need until their listings are written. */
export class JournalNeeds {
  readonly #area: string
  /** By number, how many directories still need the entry. */
  readonly #counts = new Map<number, number>()

  constructor (area: string) {
    this.#area = area
  }

  /** One more directory needs an entry. */
  hold (journal: number): void {
    this.#counts.set(journal, (this.#counts.get(journal) ?? 0) + 1)
  }

  /** A directory no longer needs entries. Returns writes that remove those which none needs. */
  release (journals: Iterable<number>): IndexWrite[] {
    const writes: IndexWrite[] = []
    for (const journal of journals) {
      const left = (this.#counts.get(journal) ?? 1) - 1
      if (left === 0) this.#counts.delete(journal)
      else this.#counts.set(journal, left)
      if (left === 0) writes.push({ area: this.#area, journal, batch: undefined })
    }
    return writes
  }
}
