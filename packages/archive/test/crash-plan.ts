import type { Blow } from './crash-matrix.ts'

/** Changes that the disk workers make, from the start on, in a sync and in dropping versions. */
const SYNC_CHANGES = 170
const PRUNE_CHANGES = 80
/** A sync takes less than this after it opened the archive. */
const SYNC_MS = 400
const ERRORS = ['EIO', 'EMFILE', 'EDQUOT', 'ENOSPC']

/**
 * So many blows that differ: most at changes of the disk, spread over all of a sync and of dropping versions, a third at
 * moments by chance, among them those in which the index is written, and some errors of the system. The same for a seed.
 */
export function planBlows (count: number, seed: number): Blow[] {
  const random = mulberry32(seed)
  return Array.from({ length: count }, (_, i): Blow => {
    const part = i / count
    if (i % 6 === 1) return { work: 'prune', at: 1 + Math.floor(part * PRUNE_CHANGES) }
    if (i % 6 === 3) return { work: 'sync', at: 1 + Math.floor(part * SYNC_CHANGES), failWith: ERRORS[Math.floor(random() * ERRORS.length)] ?? 'EIO' }
    if (i % 3 === 2) return { work: random() < 0.9 ? 'sync' : 'prune', afterMs: random() * SYNC_MS }
    return { work: 'sync', at: 1 + Math.floor(part * SYNC_CHANGES) }
  })
}

/** Random numbers from 0 to 1 that depend on the seed alone (mulberry32, Tommy Ettinger, 2017, public domain). */
function mulberry32 (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
