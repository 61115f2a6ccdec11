import { compareNames } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

// From U+D800 on, the order of UTF-16 code units differs from that of code points.
const DIFFERS = /[\ud800-\uffff]/

/** Sorts names into the canonical order, in place. Almost all names can use the engine's much faster default order. */
export function sortNames<T extends string> (names: T[]): T[] {
  return names.some(name => DIFFERS.test(name)) ? names.sort((left, right) => compareNames(left, right)) : names.sort()
}

/** Index of a name among names in canonical order, or -1. */
export function findName (count: number, nameAt: (index: number) => string, name: Name): number {
  let low = 0
  let high = count - 1
  while (low <= high) {
    const middle = low + high >>> 1
    const order = compareNames(nameAt(middle), name)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return -1
}
