import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison } from './comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { fileLookup } from '../store/lookup.ts'
import type { Removal } from '../store/section.ts'

/** In staging, content that answers no task is numbered from here on. */
export const FIRST_RELOCATION = 0x8000_0000

/**
 * A file that seems to move: a file stored under another path has its file id, size and time. The stored content is used if the
 * client's digest matches it.
 */
export interface Move {
  readonly from: RelativePath
  /** The number of its second name in staging. */
  readonly number: number
  readonly directory: ComparedDirectory
  readonly index: number
  readonly mode: number
}

interface MoveMark {
  readonly fileId: bigint
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** Finds wanted files whose content seems to be stored under a path that lost it. */
export function findMoves ({ displaced, directories }: Comparison): Move[] {
  const sources = new Map<string, RelativePath>()
  for (const { path, entry } of displaced) if (entry.fileId !== 0n) sources.set(moveKey(entry), path)
  const moves: Move[] = []
  if (sources.size === 0) return moves
  for (const directory of directories) {
    for (const index of directory.wanted) {
      const entry = directory.entry(index)
      const from = sources.get(moveKey({ fileId: entry.fileId(), sizeBytes: entry.sizeBytes(), mtimeNs: entry.mtimeNs() }))
      if (from !== undefined) moves.push({ from, number: FIRST_RELOCATION + moves.length, directory, index, mode: entry.mode() })
    }
  }
  return moves
}

function moveKey ({ fileId, sizeBytes, mtimeNs }: MoveMark): string {
  return `${String(fileId)}:${String(sizeBytes)}:${String(mtimeNs)}`
}

/** By directory, the indices of its files that seem to move. */
export function movedIndices (moves: readonly Move[]): Map<ComparedDirectory, Set<number>> {
  const indices = new Map<ComparedDirectory, Set<number>>()
  for (const { directory, index } of moves) {
    const known = indices.get(directory)
    if (known === undefined) indices.set(directory, new Set([index]))
    else known.add(index)
  }
  return indices
}

/** The removals without files that seem to move, but are not proven to, and without the directories that hold them. */
export function withoutMoveSources (removals: readonly Removal[], moves: readonly Move[]): readonly Removal[] {
  if (moves.length === 0) return removals
  const kept = new Set<string>()
  for (const { from } of moves) {
    for (let at: RelativePath = from; at !== ROOT_PATH && !kept.has(at); at = splitPath(at).directory) kept.add(at)
  }
  return removals.map(({ directory, names }) => ({ directory, names: names.filter(name => !kept.has(joinPath(directory, name))) }))
    .filter(({ names }) => names.length > 0)
}

export interface MovesInit {
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly area: string
  readonly staging: string
}

export interface StagedMoves {
  /** Facts of the files that have a second name, by its number. */
  readonly moved: ReadonlyMap<number, Fact>
  /** Paths of files that were changed outside FileSync. */
  readonly altered: readonly RelativePath[]
}

/**
 * Gives files that seem to move a second name in staging, before anything can replace them. Files that were changed or removed outside
 * FileSync get none.
 */
export async function stageMoves ({ index, store, area, staging }: MovesInit, moves: readonly Move[]): Promise<StagedMoves> {
  const moved = new Map<number, Fact>()
  if (moves.length === 0) return { moved, altered: [] }
  const find = fileLookup(index, area)
  const known = moves.flatMap(move => {
    const file = find(move.from)
    return file === undefined ? [] : [{ move, file }]
  })
  const relocations = known.map(({ move: { from, number, mode }, file: { entry: { sizeBytes, mtimeNs } } }) => (
    { from, number, sizeBytes, mtimeNs, mode }
  ))
  const failures = new Map((await store.relocate(area, staging, relocations)).map(failure => [failure.entry, failure]))
  known.forEach(({ move, file: { fact } }, i) => { if (!failures.has(i)) moved.set(move.number, fact) })
  return { moved, altered: known.flatMap(({ move }, i) => failures.get(i)?.isAltered === true ? [move.from] : []) }
}
