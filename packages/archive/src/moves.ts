import type { Clock } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import type { ContentStore } from './content-store.ts'
import { FACT_BYTES, writeFact } from './facts.ts'
import type { Fact } from './facts.ts'
import { fileLookup } from './lookup.ts'
import type { KnownFile } from './lookup.ts'
import { cutSection } from './plan.ts'
import type { Move } from './plan.ts'
import type { Section } from './section.ts'

export interface MovesInit {
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly area: string
  readonly staging: string
  readonly clock: Clock
}

/** Gives files that move a second name in staging. Returns the sections that put them in their new places. */
export async function stageMoves (
  { index, store, area, staging, clock }: MovesInit, moves: readonly Move[], failed: (move: Move, isAltered: boolean) => void,
): Promise<Section[]> {
  if (moves.length === 0) return []
  const find = fileLookup(index, area)
  const known: { readonly move: Move, readonly file: KnownFile }[] = []
  for (const move of moves) {
    const file = find(move.from)
    if (file === undefined) failed(move, false)
    else known.push({ move, file })
  }
  const relocations = known.map(({ move: { from, number, mode }, file: { entry: { sizeBytes, mtimeNs } } }) => ({ from, number, sizeBytes, mtimeNs, mode }))
  const unreachable = new Map((await store.relocate(area, staging, relocations)).map(failure => [failure.entry, failure]))
  const groups = new Map<ComparedDirectory, { readonly move: Move, readonly fact: Fact }[]>()
  for (const [i, { move, file: { fact } }] of known.entries()) {
    const failure = unreachable.get(i)
    if (failure !== undefined) {
      failed(move, failure.isAltered === true)
      continue
    }
    const group = groups.get(move.directory)
    if (group === undefined) groups.set(move.directory, [{ move, fact }])
    else group.push({ move, fact })
  }
  // Under this name, from now on: what stood where at a past moment is told from it.
  const storedAtMs = clock.nowMs()
  return [...groups].map(([directory, group]) => {
    const section = cutSection(directory, group.map(({ move }) => move.index), group.map(({ move }) => move.number))
    group.forEach(({ fact }, i) => { writeFact(section.facts, i * FACT_BYTES, { ...fact, storedAtMs }) })
    return section
  })
}
