import { ENTRY_KINDS, LIMITS, toHex } from '@filesync/protocol'
import type { HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ComparedDirectory, Places } from './compared-directory.ts'
import type { Comparison, Displaced } from './comparison.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { Fitting, PlanDraft } from './fit-files.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { findMoves, FIRST_RELOCATION } from './moves.ts'
import type { Move } from './moves.ts'
import { doubtRenumbered } from './renumbered.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from '../store/section.ts'
import type { Removal, Section } from '../store/section.ts'
import { TaskList } from './task-list.ts'
import type { TaskFile } from './task-list.ts'

export interface PlanInit {
  /** Whether the client saw all of its directories; without it nothing is removed. */
  readonly complete: boolean
  readonly deletions: 'mirror' | 'archive'
  /** Unfinished large files by name, with their sizes; empty where the client cannot resume. */
  readonly partials: ReadonlyMap<string, number>
  /** Whether digests may be asked for; without them nothing moves, and another file of the same size and time is taken for the same. */
  readonly digest?: boolean
  readonly hash: HashBytes
  /** Takes files that there is no room for off what is wanted, and tells how many. */
  readonly fit: (draft: PlanDraft) => Fitting
  /** Whether the client can leave holes out. */
  readonly holes?: boolean
  /** Those of the files that would leave whose content has another path already. */
  readonly movedBefore: (leaving: readonly Displaced[]) => ReadonlySet<RelativePath>
}

/** What a sync is going to do. */
export interface Plan {
  readonly tasks: TaskList
  /** Files whose content is here already if their digests are the right ones. They are among the tasks. */
  readonly moves: readonly Move[]
  /** Before anything is placed. */
  readonly evictions: readonly Removal[]
  /** After everything is placed. */
  readonly removals: readonly Removal[]
  /** What the client has no more, but the archive keeps: it leaves the index only. */
  readonly forgotten: readonly Removal[]
  /** Files that leave the mirror without another content at their path, and whose content does not move. */
  readonly leaving: readonly Displaced[]
  /** Those whose content seems to move. */
  readonly moving: readonly Displaced[]
  /** Files that get another content at their path, and whose old one does not move. */
  readonly replacing: number
  /** Files that there is no room for. */
  readonly unfit: number
}

/** Derives from a finished comparison what is to be done. Takes what does not fit off what the comparison wants. */
export function makePlan (comparison: Comparison, init: PlanInit): Plan {
  if (init.digest === true) doubtRenumbered(comparison)
  const moves = init.digest === true ? findMoves(comparison) : []
  const moved = new Set(moves.map(move => move.from))
  const removes = init.complete && init.deletions === 'mirror'
  const fitting = init.fit({ moves, removes, digest: init.digest === true, holes: init.holes === true })
  const counts = (displaced: Displaced): boolean => displaced.how === 'lost' || (displaced.how === 'gone' && removes)
  const counted = comparison.displaced.filter(displaced => counts(displaced))
  const leaving = counted.filter(({ path }) => !moved.has(path))
  const movedBefore = init.movedBefore(leaving)
  return {
    tasks: listTasks({ directories: comparison.directories, moves, fitting }, init),
    moves,
    evictions: gather(comparison.evicted),
    removals: removes ? removalsOf(comparison.directories, comparison.evicted) : [],
    forgotten: init.complete && !removes ? removalsOf(comparison.directories, comparison.evicted) : [],
    leaving: movedBefore.size === 0 ? leaving : leaving.filter(({ path }) => !movedBefore.has(path)),
    moving: counted.filter(({ path }) => moved.has(path)),
    replacing: comparison.displaced.filter(({ how, path }) => how === 'replaced' && !moved.has(path)).length,
    unfit: fitting.unfit,
  }
}

interface Wanted {
  readonly directories: readonly ComparedDirectory[]
  readonly moves: readonly Move[]
  readonly fitting: Fitting
}

function listTasks ({ directories, moves, fitting }: Wanted, { partials, digest, hash }: PlanInit): TaskList {
  const tasks = new TaskList(directories)
  if (partials.size > 0) resumePartials(tasks, partials, hash)
  if (digest === true) askDigests(tasks, directories)
  if (moves.length > 0) askMoves(tasks, directories, moves)
  if (fitting.sparse.size > 0) askSparse(tasks, directories, fitting)
  return tasks
}

function resumePartials (tasks: TaskList, partials: PlanInit['partials'], hash: HashBytes): void {
  for (let task = 0; task < tasks.count; task++) {
    const file = tasks.describe(task)
    const { sizeBytes } = file
    if (sizeBytes <= LIMITS.packedFileBytes) continue
    const name = partialName(file, hash)
    const begunBytes = partials.get(name)
    if (begunBytes === undefined || begunBytes === 0 || begunBytes > sizeBytes) continue
    tasks.resume(task, name, begunBytes)
  }
}

function askDigests (tasks: TaskList, directories: readonly ComparedDirectory[]): void {
  let task = 0
  for (const directory of directories) {
    if (directory.alike.length > 0) {
      const mayBeHere = new Set(directory.alike)
      for (const [i, index] of directory.wanted.entries()) if (mayBeHere.has(index)) tasks.askDigest(task + i, directory.entry(index).sizeBytes())
    }
    task += directory.wanted.length
  }
}

function askMoves (tasks: TaskList, directories: readonly ComparedDirectory[], moves: readonly Move[]): void {
  let first = 0
  // Both are in the order of the listings.
  let next = 0
  for (const directory of directories) {
    for (let at = 0; at < directory.wanted.length && moves[next]?.directory === directory; at++) {
      const move = moves[next]
      if (move === undefined || directory.wanted[at] !== move.index) continue
      tasks.moves.set(first + at, move)
      tasks.askDigest(first + at, directory.entry(move.index).sizeBytes())
      next++
    }
    first += directory.wanted.length
  }
}

function askSparse (tasks: TaskList, directories: readonly ComparedDirectory[], { sparse, leftBytes }: Fitting): void {
  tasks.sparseRoomBytes = leftBytes
  let first = 0
  for (const directory of directories) {
    const indices = sparse.get(directory)
    if (indices !== undefined) directory.wanted.forEach((index, at) => { if (indices.has(index)) tasks.sparse.add(first + at) })
    first += directory.wanted.length
  }
}

/** The directories, links and metadata of a directory that are to take their places. */
export function structureOf (directory: ComparedDirectory): Section {
  const indexOnly = new Set(directory.indexOnly)
  return cutSection(directory, directory.structure, Array.from(directory.structure, index => indexOnly.has(index) ? INDEX_ONLY : NOT_STAGED))
}

// What was evicted has left already; where the store folds names, its name is that of what came in its place.
function removalsOf (directories: readonly ComparedDirectory[], evicted: Comparison['evicted']): Removal[] {
  const left = new Set(evicted.map(({ directory, name }) => `${directory}/${name}`))
  return directories.flatMap(({ directory, gone }) => {
    const names = gone.map(entry => entry.name).filter(name => !left.has(`${directory}/${name}`))
    return names.length === 0 ? [] : [{ directory, names }]
  })
}

function gather (names: Comparison['evicted']): Removal[] {
  const byDirectory = new Map<RelativePath, Name[]>()
  for (const { directory, name } of names) {
    const gathered = byDirectory.get(directory)
    if (gathered === undefined) byDirectory.set(directory, [name])
    else gathered.push(name)
  }
  return [...byDirectory].map(([directory, names]) => ({ directory, names }))
}

/** A section of some entries of a listing; `indices` rises. Facts are left for the caller to fill in. */
export function cutSection (directory: ComparedDirectory, indices: Places, staged: readonly number[]): Section {
  const builder = new ListingBuilder()
  for (const entry of directory.entriesAt(indices)) builder.add(entry)
  const factBytes = staged.some(isContent) ? staged.length * FACT_BYTES : 0
  const stagedBytes = staged.length * Uint32Array.BYTES_PER_ELEMENT
  // In one piece of memory: there are many sections, and each piece costs where it is made, handed to a thread, and let go.
  const room = new ArrayBuffer(stagedBytes + factBytes + builder.sizeBytes)
  const numbers = new Uint32Array(room, 0, staged.length)
  numbers.set(staged)
  return {
    directory: directory.directory,
    entries: builder.finish(new Uint8Array(room, stagedBytes + factBytes)),
    staged: numbers,
    facts: new Uint8Array(room, stagedBytes, factBytes),
  }
}

/** The name under which an unfinished large file waits to be continued. Another file of the same path, size and time has another one. */
export function partialName ({ path, sizeBytes, mtimeNs, fileId }: Pick<TaskFile, 'path' | 'sizeBytes' | 'mtimeNs' | 'fileId'>, hash: HashBytes): string {
  const what = `${String(sizeBytes)}:${String(mtimeNs)}:${String(fileId)}:${path}`
  return toHex(hash(new TextEncoder().encode(what))).slice(0, 40)
}

/** What sections with content add to a sync: files and bytes that were transferred, and files that moved. */
export function countPlaced (sections: readonly Section[]): { readonly files: number, readonly bytes: number, readonly renamed: number } {
  let [files, bytes, renamed] = [0, 0, 0]
  for (const { entries, staged, facts } of sections) {
    if (facts.length === 0) continue
    const cursor = new ListingCursor(entries)
    while (cursor.next()) {
      const number = staged[cursor.index] ?? NOT_STAGED
      if (!isContent(number) || cursor.kind !== ENTRY_KINDS.file) continue
      if (number >= FIRST_RELOCATION) {
        renamed++
      } else {
        files++
        bytes += cursor.sizeBytes()
      }
    }
  }
  return { files, bytes, renamed }
}
