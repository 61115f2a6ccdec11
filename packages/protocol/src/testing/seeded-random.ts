/** Pseudo-random numbers that depend on a seed alone, so that a failing run can be repeated. */
export interface SeededRandom {
  /** A number from 0 to below 1. */
  (): number
  /** An integer from 0 to below `bound`, which is at most 2³². */
  readonly below: (bound: number) => number
  /** One of the choices. Throws RangeError if there are none. */
  readonly pick: <T>(choices: readonly T[]) => T
}

/**
 * Mulberry32 by Tommy Ettinger (2017, public domain), https://gist.github.com/tommyettinger/46a874533244883189143505d203312c.
 * For tests only: its 32 bits of state can be guessed.
 */
export function seededRandom (seed: number): SeededRandom {
  const next = mulberry32(seed)
  const below = (bound: number): number => next() % bound
  return Object.assign(() => next() / 2 ** 32, {
    below,
    pick: <T>(choices: readonly T[]): T => {
      const choice = choices[below(choices.length)]
      if (choice === undefined) throw new RangeError('pick needs at least one choice')
      return choice
    },
  })
}

/** Bytes from {@link seededRandom}, which do not compress. */
export function randomBytes (length: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = mulberry32(seed)
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let i = 0; i < words.length; i++) words[i] = next()
  return new Uint8Array(words.buffer, 0, length)
}

/** Integers from 0 to below 2³². */
function mulberry32 (seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
