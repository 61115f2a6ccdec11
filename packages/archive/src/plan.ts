import { FileSyncError, joinPath, LIMITS, toHex } from '@filesync/protocol'
import type { FileEntry, HashBytes, Name, RelativePath, Task } from '@filesync/protocol'
import type { Comparison, ComparedDirectory, Displaced } from './comparison.ts'
import { FACT_BYTES } from './facts.ts'
import { ENTRY_KINDS, entryAt, fileSizeAt, ListingBuilder, ListingCursor } from './listing-cursor.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from './section.ts'
import type { Removal, Section } from './section.ts'

/** Contents that do not answer a task are numbered in staging from here on. */
const FIRST_RELOCATION = 0x8000_0000

/** A file that moves: its content is stored under another path already. */
export interface Move {
  readonly from: RelativePath
  readonly number: number
  readonly directory: ComparedDirectory
  readonly index: number
}

export interface PlanInit {
  /** Whether the client saw all of its directories; without it nothing is removed. */
  readonly complete: boolean
  readonly mode: 'mirror' | 'archive'
  /** Unfinished large files by name, with their sizes; empty where the client cannot resume. */
  readonly partials: ReadonlyMap<string, number>
  /** Whether digests may be asked for. */
  readonly digest?: boolean
  readonly hash: HashBytes
}

/** What a sync is going to do. */
export interface Plan {
  readonly tasks: TaskList
  readonly moves: readonly Move[]
  /** Directories, links and metadata, a directory before what lies in it. */
  readonly structure: readonly Section[]
  /** Before anything is placed. */
  readonly evictions: readonly Removal[]
  /** After everything is placed. */
  readonly removals: readonly Removal[]
  /** What the client has no more, but the archive keeps: it leaves the index only. */
  readonly forgotten: readonly Removal[]
  /** Files that leave the mirror without another content at their path. */
  readonly vanishing: number
  /** Files that get another content at their path, and whose old one does not move. */
  readonly replacing: number
}

/** Derives from a finished comparison what is to be done. Pure. */
export function makePlan (comparison: Comparison, init: PlanInit): Plan {
  const moves = findMoves(comparison)
  const moved = new Set(moves.map(move => move.from))
  const removes = init.complete && init.mode === 'mirror'
  const counts = (displaced: Displaced): boolean => displaced.how === 'lost' || (displaced.how === 'gone' && removes)
  const left = comparison.displaced.filter(displaced => counts(displaced) && !moved.has(displaced.path)).length
  return {
    tasks: new TaskList(comparison.directories, init),
    moves,
    structure: comparison.directories.flatMap(directory => structureOf(directory)),
    evictions: gather(comparison.evicted),
    removals: removes ? removalsOf(comparison.directories, comparison.evicted) : [],
    forgotten: init.complete && !removes ? removalsOf(comparison.directories, comparison.evicted) : [],
    vanishing: left,
    replacing: comparison.displaced.filter(({ how, path }) => how === 'replaced' && !moved.has(path)).length,
  }
}

/** Finds wanted files whose content lies under a path that lost it, and takes them off what is wanted. */
function findMoves (comparison: Comparison): Move[] {
  const sources = new Map<string, RelativePath>()
  for (const { path, entry } of comparison.displaced) if (entry.identity !== 0n) sources.set(moveKey(entry), path)
  const moves: Move[] = []
  if (sources.size === 0) return moves
  for (const directory of comparison.directories) {
    if (directory.wanted.length === 0) continue
    const { listing, offsets } = directory
    directory.wanted = directory.wanted.filter(index => {
      const entry = entryAt(listing, offsets[index] ?? 0)
      const from = sources.get(moveKey({ identity: entry.identity(), sizeBytes: entry.sizeBytes(), mtimeNs: entry.mtimeNs() }))
      if (from !== undefined) moves.push({ from, number: FIRST_RELOCATION + moves.length, directory, index })
      return from === undefined
    })
  }
  return moves
}

function moveKey (entry: Pick<FileEntry, 'identity' | 'sizeBytes' | 'mtimeNs'>): string {
  return `${String(entry.identity)}:${String(entry.sizeBytes)}:${String(entry.mtimeNs)}`
}

function structureOf (directory: ComparedDirectory): Section[] {
  if (directory.structure.length === 0) return []
  const indexOnly = new Set(directory.indexOnly)
  return [cutSection(directory, directory.structure, directory.structure.map(index => indexOnly.has(index) ? INDEX_ONLY : NOT_STAGED))]
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
  const byDirectory = new Map<RelativePath, string[]>()
  for (const { directory, name } of names) {
    const gathered = byDirectory.get(directory)
    if (gathered === undefined) byDirectory.set(directory, [name])
    else gathered.push(name)
  }
  return [...byDirectory].map(([directory, names]) => ({ directory, names }))
}

/** A section of some entries of a listing; `indices` rises. Facts are left for the caller to fill in. */
export function cutSection (directory: ComparedDirectory, indices: readonly number[], staged: readonly number[]): Section {
  const builder = new ListingBuilder()
  for (const index of indices) builder.add(directory.listing.subarray(directory.offsets[index], directory.offsets[index + 1]))
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

/** The name under which an unfinished large file waits to be continued. */
export function partialName ({ path, sizeBytes, mtimeNs }: Pick<TaskFile, 'path' | 'sizeBytes' | 'mtimeNs'>, hash: HashBytes): string {
  const what = `${String(sizeBytes)}:${String(mtimeNs)}:${path}`
  return toHex(hash(new TextEncoder().encode(what))).slice(0, 40)
}

/** The file that a task asks for. Told from the bytes of its entry when it is asked, because it is asked for every file of a sync. */
export class TaskFile {
  readonly #directory: ComparedDirectory
  readonly #start: number

  constructor (directory: ComparedDirectory, index: number) {
    const start = directory.offsets[index]
    if (start === undefined) throw new FileSyncError('TASK_INVALID', `The file of a task in ${JSON.stringify(directory.directory)} is not asked for any more.`)
    this.#directory = directory
    this.#start = start
  }

  get path (): RelativePath {
    return joinPath(this.#directory.directory, entryAt(this.#directory.listing, this.#start).name() as Name)
  }

  get sizeBytes (): number {
    return fileSizeAt(this.#directory.listing, this.#start)
  }

  get mtimeNs (): bigint {
    return entryAt(this.#directory.listing, this.#start).mtimeNs()
  }

  get mode (): number {
    return entryAt(this.#directory.listing, this.#start).mode()
  }
}

/** The tasks of a sync in the order of listings and entries. Which they are stands in `ComparedDirectory.wanted` alone: there may be a million. */
export class TaskList implements Iterable<Task> {
  readonly count: number
  /** Names of the unfinished files that tasks build on. */
  readonly resumed: Set<string> = new Set()
  /** Tasks that ask for the digest alone, and the sizes of their files. */
  readonly digests: Set<number> = new Set()
  digestBytes: number = 0
  readonly #directories: readonly ComparedDirectory[]
  /** For each of the compared directories its first task, and behind them the number of tasks. */
  readonly #firsts: Uint32Array
  /** The directory that was asked for last: tasks come one directory after the other. */
  #lastOwner = 0
  readonly #offsets = new Map<number, number>()
  /** The tasks whose files are asked for again, whole; they are numbered behind all others in this order. */
  readonly #again: number[] = []

  constructor (directories: readonly ComparedDirectory[], init: Pick<PlanInit, 'partials' | 'digest' | 'hash'>) {
    this.#directories = directories
    this.#firsts = new Uint32Array(directories.length + 1)
    let count = 0
    directories.forEach(({ wanted }, owner) => {
      this.#firsts[owner] = count
      count += wanted.length
    })
    this.#firsts[directories.length] = this.count = count
    if (init.partials.size > 0) this.#findPartials(init)
    if (init.digest === true) this.#findDigests()
  }

  /** How many numbers tasks can have: those that ask for a digest may be followed by another one. */
  get mostTasks (): number {
    return this.count + this.digests.size
  }

  /** The file of a task that asked for its digest is wanted whole. */
  wantAgain (task: number): void {
    this.#again.push(task)
  }

  againBytes (): number {
    return this.#again.reduce((sum, task) => sum + this.describe(task).sizeBytes, 0)
  }

  * again (): Generator<Task, void, undefined> {
    for (const task of this.#again) {
      const { directory, index } = this.at(task)
      yield [directory.number, index]
    }
  }

  * [Symbol.iterator] (): Generator<Task, void, undefined> {
    for (let task = 0; task < this.count; task++) {
      const { directory, index } = this.at(task)
      const offset = this.#offsets.get(task)
      if (this.digests.has(task)) yield [directory.number, index, 'DIGEST']
      else yield offset === undefined ? [directory.number, index] : [directory.number, index, 'RESUME', offset]
    }
  }

  at (task: number): { readonly owner: number, readonly directory: ComparedDirectory, readonly index: number } {
    const first = task < this.count ? task : this.#again[task - this.count] ?? task
    const owner = this.#ownerOf(first)
    const directory = this.#directories[owner]
    const index = directory?.wanted[first - this.#firstOf(owner)]
    if (directory === undefined || index === undefined) throw new FileSyncError('TASK_INVALID', `There is no task ${String(task)}.`)
    return { owner, directory, index }
  }

  #ownerOf (task: number): number {
    let low = this.#lastOwner
    if (this.#firstOf(low) <= task && task < this.#firstOf(low + 1)) return low
    low = 0
    // The last directory whose first task is not behind this one; those without any stand before it.
    for (let high = this.#directories.length; high - low > 1;) {
      const middle = (low + high) >>> 1
      if (this.#firstOf(middle) <= task) low = middle
      else high = middle
    }
    return this.#lastOwner = low
  }

  #firstOf (owner: number): number {
    return this.#firsts[owner] ?? Infinity
  }

  /** The file that a task asks for. */
  describe (task: number): TaskFile {
    const { directory, index } = this.at(task)
    return new TaskFile(directory, index)
  }

  #findDigests (): void {
    let task = 0
    for (const { wanted, alike, listing, offsets } of this.#directories) {
      const mayBeHere = new Set(alike)
      for (const index of wanted) {
        if (mayBeHere.has(index)) {
          this.digests.add(task)
          this.digestBytes += entryAt(listing, offsets[index] ?? 0).sizeBytes()
        }
        task++
      }
    }
  }

  #findPartials ({ partials, hash }: Pick<PlanInit, 'partials' | 'hash'>): void {
    for (let task = 0; task < this.count; task++) {
      const file = this.describe(task)
      const { sizeBytes } = file
      if (sizeBytes <= LIMITS.packedFileBytes) continue
      const name = partialName(file, hash)
      const begunBytes = partials.get(name)
      if (begunBytes === undefined || begunBytes === 0 || begunBytes > sizeBytes) continue
      this.#offsets.set(task, begunBytes)
      this.resumed.add(name)
    }
  }
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
