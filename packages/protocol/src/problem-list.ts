import type { Problem } from './problem.ts'

/** Default number of problems that are kept individually. */
export const PROBLEMS_KEPT = 1000

/** The first problems and the total count. A peer controls how many there are, so not all are kept. */
export class ProblemList<T extends Problem = Problem> {
  readonly #max: number
  readonly #first: T[] = []
  #count = 0

  constructor (max: number = PROBLEMS_KEPT) {
    this.#max = max
  }

  get first (): readonly T[] {
    return this.#first
  }

  /** Number of all problems that were added. */
  get count (): number {
    return this.#count
  }

  add (found: T): void {
    this.#count++
    if (this.#first.length < this.#max) this.#first.push(found)
  }
}
