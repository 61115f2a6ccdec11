import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { Change } from './changes.ts'
import { compareTrees } from './compare-trees.ts'
import type { DataSet } from './data-set.ts'
import { OurSide } from './our-side.ts'
import { startDaemon, startSshd } from './rsync-servers.ts'
import { RsyncSide } from './rsync-side.ts'
import type { Run, Side } from './side.ts'
import { warmMemory } from './warm-memory.ts'

/** The runs of each side, in the order of the pairs. */
export interface Pairs {
  readonly ours: Run[]
  readonly theirs: Run[]
  /** Runs of rsync through ssh, which encrypts as ours does; none if it cannot be measured. */
  readonly throughSsh: Run[]
}

/** The runs before and after a change. */
export interface ChangedPairs {
  readonly first: Pairs
  readonly changed: Pairs
  readonly changedBytes: number
}

/** Opens a side in a fresh directory. */
export type OpenSide = (bench: Bench) => Promise<Side>

export const openOurs: OpenSide = async ({ home, children }) => await OurSide.open(mkdtempSync(join(home, 'o-')), children)
export const openTheirs: OpenSide = async ({ home, children }) => await RsyncSide.open(mkdtempSync(join(home, 't-')), children, startDaemon)
const openThroughSsh: OpenSide = async ({ home, children }) => await RsyncSide.open(mkdtempSync(join(home, 'h-')), children, startSshd)

export function noPairs (): Pairs {
  return { ours: [], theirs: [], throughSsh: [] }
}

/** Uses a side, and closes it in any case. */
export async function withSide <S extends { close (): Promise<void> }, T>(side: S, use: (side: S) => Promise<T>): Promise<T> {
  try {
    return await use(side)
  } finally {
    await side.close()
  }
}

/** First syncs, each to an empty destination, all sides in turn. */
export async function firstPairs (
  bench: Bench, set: DataSet, between: () => Promise<void> = async () => { /* nothing */ }
): Promise<Pairs> {
  const pairs = noPairs()
  for (let pair = 0; pair < bench.pairs; pair++) {
    for (const [whose, open] of sidesOf(bench)) {
      pairs[whose].push(await withSide(await open(bench), async side => await measure(bench, side, set)))
    }
    await between()
    logPair(bench, 'first', pairs)
  }
  return pairs
}

/** All sides hold the same tree, and nothing changes. */
export async function unchangedPairs (bench: Bench, set: DataSet, between: () => Promise<void>): Promise<Pairs> {
  const pairs = noPairs()
  await withSides(bench, async sides => {
    for (const [, side] of sides) await measure(bench, side, set)
    for (let pair = 0; pair < bench.pairs; pair++) {
      for (const [whose, side] of sides) pairs[whose].push(await measure(bench, side, set))
      await between()
      logPair(bench, 'no change', pairs)
    }
  })
  return pairs
}

/** For each pair: all sides start empty and receive the tree, then the tree changes, and all receive the change. */
export async function changedPairs (bench: Bench, set: DataSet, change: Change): Promise<ChangedPairs> {
  const first = noPairs()
  const changed = noPairs()
  let changedBytes = Infinity
  for (let pair = 0; pair < bench.pairs; pair++) {
    await withSides(bench, async sides => {
      for (const [whose, side] of sides) first[whose].push(await measure(bench, side, set))
      const { touched, bytes } = change(set, bench, pair)
      changedBytes = Math.min(changedBytes, bytes)
      for (const [whose, side] of sides) changed[whose].push(await measure(bench, side, set, touched))
      logPair(bench, 'first', first)
      logPair(bench, 'changed', changed)
    })
  }
  return { first, changed, changedBytes }
}

/** The sides, in the order in which they run. */
function sidesOf ({ throughSsh }: Bench): [keyof Pairs, OpenSide][] {
  return [['ours', openOurs], ['theirs', openTheirs], ...throughSsh ? [['throughSsh', openThroughSsh] as [keyof Pairs, OpenSide]] : []]
}

/** Opens all sides, uses them, and closes those that were opened in any case. */
async function withSides (bench: Bench, use: (sides: readonly [keyof Pairs, Side][]) => Promise<void>): Promise<void> {
  const sides: [keyof Pairs, Side][] = []
  try {
    for (const [whose, open] of sidesOf(bench)) sides.push([whose, await open(bench)])
    await use(sides)
  } finally {
    for (const [, side] of sides) await side.close()
  }
}

/** Measures one run, and verifies its result. */
export async function measure (bench: Bench, side: Side, set: DataSet, touched: readonly string[] = []): Promise<Run> {
  bench.signal.throwIfAborted()
  warmMemory(bench, set)
  const run = await side.push(set.root)
  await verify(bench, side, set, touched)
  return run
}

/** Throws if the destination differs from the source. */
export async function verify (
  { seed, signal }: Bench, side: Pick<Side, 'destination'>, set: DataSet, touched: readonly string[] = []
): Promise<void> {
  const { files } = await compareTrees({ source: set.root, destination: side.destination, touched, seed, signal })
  if (files === 0) throw new Error(`There are no files in ${set.root}, so nothing was measured.`)
}

function logPair (bench: Bench, what: string, { ours, theirs, throughSsh }: Pairs): void {
  const [our, their, ssh] = [ours, theirs, throughSsh].map(runs => (runs.at(-1)?.durationMs ?? NaN) / 1000) as [number, number, number]
  const also = Number.isNaN(ssh) ? '' : `; through ssh ${ssh.toFixed(2)} s, ratio ${(our / ssh).toFixed(2)}`
  const both = `ours ${our.toFixed(2)} s, theirs ${their.toFixed(2)} s, ratio ${(our / their).toFixed(2)}`
  bench.log(`${what}, pair ${ours.length} of ${bench.pairs}: ${both}${also}`)
}
