/** The share of the longer name that may be wrong; beyond it, it is another word. */
const WRONG_SHARE = 0.4

/** The name that was most likely meant by a mistyped one; undefined if none is similar. */
export function nearestName (typed: string, names: readonly string[]): string | undefined {
  let nearest: string | undefined
  let least = Infinity
  for (const name of names) {
    const wrong = distance(typed.toLowerCase(), name)
    if (wrong < least && wrong <= Math.max(typed.length, name.length) * WRONG_SHARE) [nearest, least] = [name, wrong]
  }
  return nearest
}

/** Letters added, left out, replaced or swapped with their neighbor (the restricted Damerau-Levenshtein distance). */
function distance (left: string, right: string): number {
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= left.length; row++) {
    const values = [row]
    for (let column = 1; column <= right.length; column++) {
      const at = (up: number, back: number): number => (up === 0 ? values : rows[row - up])?.[column - back] ?? Infinity
      const isSame = left[row - 1] === right[column - 1]
      const isSwapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      values.push(Math.min(at(1, 0) + 1, at(0, 1) + 1, at(1, 1) + (isSame ? 0 : 1), isSwapped ? at(2, 2) + 1 : Infinity))
    }
    rows.push(values)
  }
  return rows[left.length]?.[right.length] ?? Infinity
}
