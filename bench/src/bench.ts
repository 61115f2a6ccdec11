import type { Children } from './children.ts'
import type { Recipe } from './data-set.ts'

/** What a case runs with. */
export interface Bench extends Recipe {
  readonly pairs: number
  /** How many files the large trees have. */
  readonly files: number
  readonly children: Children
  /** A directory that only this case uses. */
  readonly home: string
  /** Whether rsync is measured through ssh too. */
  readonly throughSsh: boolean
  readonly log: (text: string) => void
}
