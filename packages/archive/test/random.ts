/** Whole numbers from 0 up to a bound that depend on the seed alone (mulberry32, Tommy Ettinger, 2017, public domain), so that a failure can be run again. */
export function random (seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = state + 0x6d2b79f5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) % below
  }
}
