import { FileSyncError, joinPath, toHex } from '@filesync/protocol'
import type { HashBytes, RelativePath, Task } from '@filesync/protocol'
import type { ComparedDirectory } from './compared-directory.ts'
import { entryAt, fileSizeAt } from '../store/listing-cursor.ts'
import type { Move } from './moves.ts'

/** The file that a task asks for. Told from the bytes of its entry when it is asked, because it is asked for every file of a sync. */
export class TaskFile {
  readonly #directory: ComparedDirectory
  readonly #start: number

  constructor (directory: ComparedDirectory, index: number) {
    const start = directory.startOf(index)
    if (start === undefined) throw new FileSyncError('TASK_INVALID', `The file of a task in ${JSON.stringify(directory.directory)} is not asked for any more.`)
    this.#directory = directory
    this.#start = start
  }

  get path (): RelativePath {
    return joinPath(this.#directory.directory, entryAt(this.#directory.listing, this.#start).name())
  }

  get sizeBytes (): number {
    return fileSizeAt(this.#directory.listing, this.#start)
  }

  get mtimeNs (): bigint {
    return entryAt(this.#directory.listing, this.#start).mtimeNs()
  }

  get fileId (): bigint {
    return entryAt(this.#directory.listing, this.#start).fileId()
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
  /** Those of them whose content seems to be stored under another path. */
  readonly moves: Map<number, Move> = new Map<number, Move>()
  readonly #directories: readonly ComparedDirectory[]
  /** For each of the compared directories its first task, and behind them the number of tasks. */
  readonly #firsts: Uint32Array
  /** The directory that was asked for last: tasks come one directory after the other. */
  #lastOwner = 0
  readonly #offsets = new Map<number, number>()
  /** Tasks for files that fit only if they have holes, and what there is room for. */
  readonly sparse: Set<number> = new Set()
  sparseRoomBytes: number = 0
  /** The tasks whose files are asked for again, whole; they are numbered behind all others in this order. */
  #again: number[] = []

  constructor (directories: readonly ComparedDirectory[]) {
    this.#directories = directories
    this.#firsts = new Uint32Array(directories.length + 1)
    let count = 0
    directories.forEach(({ wanted }, owner) => {
      this.#firsts[owner] = count
      count += wanted.length
    })
    this.#firsts[directories.length] = this.count = count
  }

  /** The file of a task is continued from an offset, where the unfinished file of that name ends. */
  resume (task: number, name: string, offset: number): void {
    this.#offsets.set(task, offset)
    this.resumed.add(name)
  }

  /** Only the digest of a task's file is asked for. */
  askDigest (task: number, sizeBytes: number): void {
    if (this.digests.has(task)) return
    this.digests.add(task)
    this.digestBytes += sizeBytes
  }

  /** How many numbers tasks can have: those that ask for a digest may be followed by another one. */
  get maxTasks (): number {
    return this.count + this.digests.size
  }

  /** The file of a task that asked for its digest is wanted whole. */
  askAgain (task: number): void {
    this.#again.push(task)
  }

  /** Those tasks by their first numbers. */
  tasksToRepeat (): readonly number[] {
    return this.#again
  }

  /** Before any of them is asked for again. */
  dropRepeats (tasks: ReadonlySet<number>): void {
    if (tasks.size > 0) this.#again = this.#again.filter(task => !tasks.has(task))
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
      else if (this.sparse.has(task)) yield [directory.number, index, 'SPARSE', offset ?? 0, this.sparseRoomBytes]
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
}

/** The name under which an unfinished large file waits to be continued. Another file of the same path, size and time has another one. */
export function partialName ({ path, sizeBytes, mtimeNs, fileId }: Pick<TaskFile, 'path' | 'sizeBytes' | 'mtimeNs' | 'fileId'>, hash: HashBytes): string {
  const what = `${String(sizeBytes)}:${String(mtimeNs)}:${String(fileId)}:${path}`
  return toHex(hash(new TextEncoder().encode(what))).slice(0, 40)
}
