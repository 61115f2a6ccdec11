import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison } from './comparison.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { fileLookup } from '../store/lookup.ts'
import type { KnownFile } from '../store/lookup.ts'
import type { Removal } from '../store/section.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** In staging, stored content that moves is numbered from here on. */
export const FIRST_RELOCATION = 0x8000_0000
/** In staging, stored content that gets another name is numbered from here on. */
export const FIRST_STORED_LINK = 0x6000_0000
/** In staging, the further names of content that arrives have the number of their task, added to this one. */
export const FIRST_LINK = 0x4000_0000

/**
 * A wanted file whose content seems to be stored under another path. The stored content is used if the client's digest matches it.
 * `moved`: that path lost it, and had its file id, size and time. `guessed`: that path lost it, and had its size and time alone, as after
 * a move to another disk. `linked`: that path keeps it, and has its file id, size and time: the two are names of one file.
 */
export interface Move {
  readonly how: 'moved' | 'guessed' | 'linked'
  readonly from: RelativePath
  /** The number of its second name in staging. */
  readonly number: number
  readonly directory: ComparedDirectory
  /** Its place among the compared entries of the directory. */
  readonly place: number
  readonly mode: number
}

interface MoveMark {
  readonly fileId: bigint
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** A wanted file with the size and time of a file that left. */
interface Candidate {
  readonly directory: ComparedDirectory
  /** Its place among the compared entries of the directory. */
  readonly place: number
  readonly name: string
  readonly mode: number
}

/** Files of one size and time. */
interface AlikeFiles {
  /** Paths that lost such a file. */
  readonly left: RelativePath[]
  readonly wanted: Candidate[]
}

/**
 * Finds wanted files whose content seems to be stored under a path that lost it: first by file id, size and time, then by size and time
 * among the files that left. Each path is guessed for one wanted file at most, so a client is not asked for more digests than files left.
 */
export function findMoves ({ displaced, directories }: Comparison): Move[] {
  const sources = new Map<string, RelativePath>()
  const alike = new Map<string, AlikeFiles>()
  for (const { path, entry, how } of displaced) {
    if (entry.fileId !== 0n) sources.set(moveKey(entry), path)
    if (how !== 'replaced' && entry.sizeBytes > 0 && !isUnknown(entry)) getAlike(alike, timeKey(entry)).left.push(path)
  }
  const moves: Move[] = []
  if (sources.size + alike.size === 0) return moves
  const add = (from: RelativePath, how: Move['how'], { directory, place, mode }: Omit<Candidate, 'name'>): void => {
    moves.push({ how, from, number: FIRST_RELOCATION + moves.length, directory, place, mode })
  }
  for (const directory of directories) {
    const { hasSpecialRoles } = directory
    for (const entry of directory.wantedFiles()) {
      const place = entry.index
      const mark = { fileId: entry.fileId(), sizeBytes: entry.sizeBytes(), mtimeNs: entry.mtimeNs() }
      const from = sources.get(moveKey(mark))
      if (from !== undefined) add(from, 'moved', { directory, place, mode: entry.mode() })
      else if (!hasSpecialRoles || !directory.hasRole(place, 'alike')) {
        alike.get(timeKey(mark))?.wanted.push({ directory, place, name: entry.name(), mode: entry.mode() })
      }
    }
  }
  const used = new Set(moves.map(({ from }) => from))
  for (const { left, wanted } of alike.values()) {
    const pairs = wanted.length === 0 ? [] : pair(left.filter(path => !used.has(path)), wanted)
    for (const [from, candidate] of pairs) add(from, 'guessed', candidate)
  }
  return moves
}

function getAlike (alike: Map<string, AlikeFiles>, key: string): AlikeFiles {
  const known = alike.get(key)
  if (known !== undefined) return known
  const files = { left: [], wanted: [] }
  alike.set(key, files)
  return files
}

/** Pairs paths with wanted files: those of the same name first, then the others in their order. */
function pair (left: readonly RelativePath[], wanted: readonly Candidate[]): (readonly [RelativePath, Candidate])[] {
  const byName = new Map<string, RelativePath[]>()
  for (const path of left) {
    const { name } = splitPath(path)
    const known = byName.get(name)
    if (known === undefined) byName.set(name, [path])
    else known.push(path)
  }
  const pairs: (readonly [RelativePath, Candidate])[] = []
  const others = wanted.filter(candidate => {
    const path = byName.get(candidate.name)?.pop()
    if (path !== undefined) pairs.push([path, candidate])
    return path === undefined
  })
  const free = [...byName.values()].flat()
  for (const candidate of others) {
    const path = free.pop()
    if (path === undefined) break
    pairs.push([path, candidate])
  }
  return pairs
}

function moveKey ({ fileId, sizeBytes, mtimeNs }: MoveMark): string {
  return `${String(fileId)}:${String(sizeBytes)}:${String(mtimeNs)}`
}

function timeKey ({ sizeBytes, mtimeNs }: Omit<MoveMark, 'fileId'>): string {
  return `${String(sizeBytes)}:${String(mtimeNs)}`
}

/** By the number of the directory, the places of its files that seem to move. */
export function movedPlaces (moves: readonly Move[]): Map<number, Set<number>> {
  const places = new Map<number, Set<number>>()
  for (const { directory: { owner }, place } of moves) {
    const known = places.get(owner)
    if (known === undefined) places.set(owner, new Set([place]))
    else known.add(place)
  }
  return places
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
  /** How much may be written for files that get another mode. */
  readonly roomBytes: number
}

export interface StagedMoves {
  /** Facts of the files that have a second name, by its number. */
  readonly moved: ReadonlyMap<number, Fact>
  /** Paths of files that were changed outside FileSync. */
  readonly altered: readonly RelativePath[]
  /** How much room the copies of files that get another mode take. */
  readonly copiedBytes: number
}

/**
 * Gives files that seem to move or to have another name a second name in staging, before anything can replace them. Files that were changed
 * or removed outside FileSync get none, nor do those for whose copies there is no room.
 */
export async function stageMoves ({ index, store, area, staging, roomBytes }: MovesInit, moves: readonly Move[]): Promise<StagedMoves> {
  const moved = new Map<number, Fact>()
  if (moves.length === 0) return { moved, altered: [], copiedBytes: 0 }
  const room = new CopyRoom(roomBytes)
  const find = fileLookup(index, area)
  const known = moves.flatMap(move => {
    const file = find(move.from)
    return file === undefined ? [] : [{ move, file }]
  }).filter(one => room.take(one))
  const relocations = known.map(({ move: { from, number, mode }, file: { entry: { sizeBytes, mtimeNs } } }) => (
    { from, number, sizeBytes, mtimeNs, mode }
  ))
  const failures = new Map((await store.relocate(area, staging, relocations)).map(failure => [failure.entry, failure]))
  known.forEach(({ move, file: { fact } }, i) => { if (!failures.has(i)) moved.set(move.number, fact) })
  const altered = known.flatMap(({ move }, i) => failures.get(i)?.isAltered === true ? [move.from] : [])
  return { moved, altered, copiedBytes: roomBytes - room.leftBytes }
}

interface KnownMove {
  readonly move: Move
  readonly file: KnownFile
}

/** Room for the copies of files that get another mode. */
class CopyRoom {
  leftBytes: number
  readonly #copied = new Set<string>()

  constructor (roomBytes: number) {
    this.leftBytes = roomBytes
  }

  /** Takes what a move needs. Returns false if there is not enough. The names of one file that get the same mode share a copy. */
  take ({ move: { from, mode }, file: { entry } }: KnownMove): boolean {
    if (entry.mode === mode) return true
    const key = `${String(mode)}:${from}`
    if (this.#copied.has(key)) return true
    if (entry.sizeBytes > this.leftBytes) return false
    this.#copied.add(key)
    this.leftBytes -= entry.sizeBytes
    return true
  }
}
