import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Change } from './changes.ts'
import type { Children } from './children.ts'
import { compareTrees } from './compare-trees.ts'
import type { DataSet, Recipe } from './data-set.ts'
import { OurSide } from './our-side.ts'
import { RsyncSide } from './rsync-side.ts'
import type { Run, Side } from './side.ts'
import { warmMemory } from './warm-memory.ts'

/** What a case runs with. */
export interface Bench extends Recipe {
  readonly pairs: number
  readonly children: Children
  /** A directory of this case alone. */
  readonly home: string
  readonly say: (text: string) => void
}

/** The runs of both sides, in the order of the pairs. */
export interface Pairs {
  readonly ours: Run[]
  readonly theirs: Run[]
}

/** What a side needs to be opened. */
export type OpenSide = (bench: Bench) => Promise<Side>

export const openOurs: OpenSide = async ({ home, children }) => await OurSide.open(mkdtempSync(join(home, 'o-')), children)
export const openTheirs: OpenSide = async ({ home, children }) => await RsyncSide.open(mkdtempSync(join(home, 't-')), children)

/** Opens a side, uses it, and closes it, whatever happens. */
export async function withSide <S extends { close (): Promise<void> }, T>(side: S, use: (side: S) => Promise<T>): Promise<T> {
  try {
    return await use(side)
  } finally {
    await side.close()
  }
}

/** First syncs, each into an empty destination, ours and theirs in turn. */
export async function firstPairs (bench: Bench, set: DataSet, between: () => Promise<void> = async () => { /* nothing */ }): Promise<Pairs> {
  const pairs: Pairs = { ours: [], theirs: [] }
  for (let pair = 0; pair < bench.pairs; pair++) {
    pairs.ours.push(await withSide(await openOurs(bench), async side => await measure(bench, side, set)))
    pairs.theirs.push(await withSide(await openTheirs(bench), async side => await measure(bench, side, set)))
    await between()
    tell(bench, 'first', pairs)
  }
  return pairs
}

/** Both sides hold the same tree, and nothing changes. */
export async function unchangedPairs (bench: Bench, set: DataSet, between: () => Promise<void>): Promise<Pairs> {
  const pairs: Pairs = { ours: [], theirs: [] }
  await withSide(await openOurs(bench), async ours => await withSide(await openTheirs(bench), async theirs => {
    await measure(bench, ours, set)
    await measure(bench, theirs, set)
    for (let pair = 0; pair < bench.pairs; pair++) {
      pairs.ours.push(await measure(bench, ours, set))
      pairs.theirs.push(await measure(bench, theirs, set))
      await between()
      tell(bench, 'no change', pairs)
    }
  }))
  return pairs
}

/** For each pair: both sides start empty, are given the tree, the tree changes, and both are given the change. */
export async function changedPairs (bench: Bench, set: DataSet, change: Change): Promise<{ first: Pairs, changed: Pairs, changedBytes: number }> {
  const first: Pairs = { ours: [], theirs: [] }
  const changed: Pairs = { ours: [], theirs: [] }
  let changedBytes = Infinity
  for (let pair = 0; pair < bench.pairs; pair++) {
    await withSide(await openOurs(bench), async ours => await withSide(await openTheirs(bench), async theirs => {
      first.ours.push(await measure(bench, ours, set))
      first.theirs.push(await measure(bench, theirs, set))
      const { touched, bytes } = change(set, bench, pair)
      changedBytes = Math.min(changedBytes, bytes)
      changed.ours.push(await measure(bench, ours, set, touched))
      changed.theirs.push(await measure(bench, theirs, set, touched))
      tell(bench, 'first', first)
      tell(bench, 'changed', changed)
    }))
  }
  return { first, changed, changedBytes }
}

/** One run, and the proof that it did its work. */
export async function measure (bench: Bench, side: Side, set: DataSet, touched: readonly string[] = []): Promise<Run> {
  bench.signal.throwIfAborted()
  warmMemory(bench, set)
  const run = await side.push(set.root)
  await verify(bench, side, set, touched)
  return run
}

/** Throws where a destination is not what its source is. */
export async function verify ({ seed, signal }: Bench, side: Pick<Side, 'destination'>, set: DataSet, touched: readonly string[] = []): Promise<void> {
  const { files } = await compareTrees({ source: set.root, destination: side.destination, touched, seed, signal })
  if (files === 0) throw new Error(`There are no files in ${set.root}, so that nothing was measured.`)
}

function tell (bench: Bench, what: string, { ours, theirs }: Pairs): void {
  const [our, their] = [ours.at(-1)?.durationMs ?? NaN, theirs.at(-1)?.durationMs ?? NaN]
  bench.say(`${what}, pair ${ours.length} of ${bench.pairs}: ours ${(our / 1000).toFixed(2)} s, theirs ${(their / 1000).toFixed(2)} s, ratio ${(our / their).toFixed(2)}`)
}
