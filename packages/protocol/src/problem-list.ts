import type { Problem } from './problem.ts'

/** So many are told one by one where no message sets another bound. */
export const PROBLEMS_KEPT = 1000

/** The first problems of what may have millions of them, and how many there were: a peer decides about their number. */
export class ProblemList {
  readonly #most: number
  readonly #first: Problem[] = []
  #count = 0

  constructor (most: number = PROBLEMS_KEPT) {
    this.#most = most
  }

  get first (): readonly Problem[] {
    return this.#first
  }

  /** Of all that were added. */
  get count (): number {
    return this.#count
  }

  add (found: Problem): void {
    this.#count++
    if (this.#first.length < this.#most) this.#first.push(found)
  }
}
