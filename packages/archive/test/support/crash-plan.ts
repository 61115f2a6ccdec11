import { seededRandom } from '@filesync/protocol/testing'
import type { Blow } from './crash-matrix.ts'

/** How many changes each of the two disk workers makes in a sync and when dropping versions; which worker makes which varies. */
const SYNC_CHANGES = [100, 20]
const PRUNE_CHANGES = [20, 0]
const SYNC_WRITES = 8
const MOMENTS = ['before', 'during', 'after'] as const
const ERRORS = ['EIO', 'EMFILE', 'EDQUOT', 'ENOSPC']

type Kind = 'sync' | 'prune' | 'index' | 'error' | 'time'
/** The kinds of every ten blows. */
const KINDS: readonly Kind[] = ['sync', 'prune', 'sync', 'index', 'error', 'sync', 'time', 'sync', 'index', 'sync']

/**
 * Plans a number of different blows: half of them before disk changes in a sync, the others when dropping versions, in index
 * writes, at random times, and as system errors. Each kind is spread evenly over its places; a few hundred blows cover all of them.
 * The result depends only on the seed.
 */
export function planBlows (count: number, seed: number): Blow[] {
  const random = seededRandom(seed)
  const kinds = Array.from({ length: count }, (_, i) => KINDS[i % KINDS.length] ?? 'sync')
  const totals = new Map<Kind, number>()
  for (const kind of kinds) totals.set(kind, (totals.get(kind) ?? 0) + 1)
  const done = new Map<Kind, number>()
  return kinds.map(kind => {
    const nth = done.get(kind) ?? 0
    done.set(kind, nth + 1)
    // An even grid with a random start.
    const part = (nth + (count < 100 ? random() : 0.5)) / (totals.get(kind) ?? 1)
    return blowOf(kind, part, random)
  })
}

function blowOf (kind: Kind, part: number, random: () => number): Blow {
  if (kind === 'time') return { work: random() < 0.9 ? 'sync' : 'prune', after: random() }
  if (kind === 'index') {
    const place = Math.floor(part * SYNC_WRITES * MOMENTS.length)
    return { work: 'sync', write: 1 + Math.floor(place / MOMENTS.length), moment: MOMENTS[place % MOMENTS.length] ?? 'before' }
  }
  if (kind === 'prune') return { work: 'prune', ...changeAt(part, PRUNE_CHANGES) }
  if (kind === 'sync') return { work: 'sync', ...changeAt(part, SYNC_CHANGES) }
  return { work: 'sync', ...changeAt(part, SYNC_CHANGES), failWith: ERRORS[Math.floor(random() * ERRORS.length)] ?? 'EIO' }
}

function changeAt (part: number, changes: readonly number[]): { readonly thread: number, readonly at: number } {
  const [first = 0, second = 0] = changes
  const place = Math.floor(part * (first + second))
  return place < first ? { thread: 1, at: 1 + place } : { thread: 2, at: 1 + place - first }
}
