import { FileSyncError, joinPath, toHex } from '@filesync/protocol'
import type { EntryReference, HashBytes, RelativePath, Task } from '@filesync/protocol'
import type { ComparedDirectories } from './compared-directories.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import { entryAt, fileSizeAt } from '../store/listing-cursor.ts'
import type { Move } from './moves.ts'
import { NO_LINKS } from './task-links.ts'
import type { TaskLinks } from './task-links.ts'

/** The file that a task asks for. Decodes its entry only when a property is read: there is one for every file of a sync. */
export class TaskFile {
  readonly #directory: ComparedDirectory
  readonly #start: number

  constructor (directory: ComparedDirectory, place: number) {
    const start = directory.startOf(place)
    if (start === undefined) {
      throw new FileSyncError('TASK_INVALID', `A task asks for a file in ${JSON.stringify(directory.directory)}, which is stored already.`)
    }
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

/**
 * The tasks of a sync, in the order of listings and entries. It keeps no list of them: the n-th task is for the n-th wanted file
 * of all directories together, and there may be a million.
 */
export class TaskList implements Iterable<Task> {
  readonly count: number
  /** Names of the unfinished files that tasks continue. */
  readonly resumed: Set<string> = new Set()
  /** Tasks that ask only for the digest. */
  readonly digests: Set<number> = new Set()
  /** The sum of the sizes of their files. */
  digestBytes: number = 0
  /** Bytes that were copied for moved files that get another mode. */
  copiedBytes: number = 0
  /** Of these, the tasks whose content seems to be stored under another path. */
  readonly moves: Map<number, Move> = new Map<number, Move>()
  /** Tasks for names of one file: only one of these asks for the content. */
  links: TaskLinks = NO_LINKS
  readonly #directories: ComparedDirectories
  /** The first task of each compared directory, followed by the number of tasks. */
  readonly #firsts: Uint32Array
  /** The directory of the last lookup: tasks come directory by directory. */
  #lastOwner = 0
  readonly #offsets = new Map<number, number>()
  /** Tasks for files that fit only if they have holes. */
  readonly sparse: Set<number> = new Set()
  /** Room for all of these. */
  sparseRoomBytes: number = 0
  /** Tasks whose files are asked for again, whole. In this order they get the numbers after all other tasks. */
  #retries: number[] = []

  constructor (directories: ComparedDirectories) {
    this.#directories = directories
    this.#firsts = new Uint32Array(directories.length + 1)
    let count = 0
    for (let owner = 0; owner < directories.length; owner++) {
      this.#firsts[owner] = count
      count += directories.wantedCounts.at(owner)
    }
    this.#firsts[directories.length] = this.count = count
  }

  /** Continues the file of a task from an offset, where the unfinished file of that name ends. */
  resume (task: number, name: string, offset: number): void {
    this.#offsets.set(task, offset)
    this.resumed.add(name)
  }

  /** Asks only for the digest of a task's file. */
  askDigest (task: number, sizeBytes: number): void {
    if (this.digests.has(task)) return
    this.digests.add(task)
    this.digestBytes += sizeBytes
  }

  /** How many tasks there can be: each that asks for a digest may be retried for the content. */
  get maxTasks (): number {
    return this.count + this.digests.size
  }

  /** Asks for the whole file of a task that asked for its digest. */
  addRetry (task: number): void {
    this.#retries.push(task)
  }

  /** The numbers of the tasks that are retried. */
  tasksToRetry (): readonly number[] {
    return this.#retries
  }

  /** Drops some of these. To be called before `retryTasks` is iterated. */
  dropRetries (tasks: ReadonlySet<number>): void {
    if (tasks.size > 0) this.#retries = this.#retries.filter(task => !tasks.has(task))
  }

  * retryTasks (): Generator<Task, void, undefined> {
    for (const task of this.#retries) yield this.#referenceOf(task)
  }

  * [Symbol.iterator] (): Generator<Task, void, undefined> {
    for (let task = 0; task < this.count; task++) {
      const [listing, index] = this.#referenceOf(task)
      const offset = this.#offsets.get(task)
      if (this.digests.has(task)) yield [listing, index, 'DIGEST']
      else if (this.sparse.has(task)) yield [listing, index, 'SPARSE', offset ?? 0, this.sparseRoomBytes]
      else yield offset === undefined ? [listing, index] : [listing, index, 'RESUME', offset]
    }
  }

  /** The task that a number of `tasksToRetry` repeats; any other number itself. */
  originalOf (task: number): number {
    return task < this.count ? task : this.#retries[task - this.count] ?? task
  }

  /** The task for the file at a place of a directory; undefined if there is none. */
  numberOf (owner: number, place: number): number | undefined {
    const before = this.#directories.wantedBefore(owner, place)
    return before === undefined ? undefined : this.#firstOf(owner) + before
  }

  /** The directory of a task's file, and the place of the file in it. Throws TASK_INVALID if there is none, or if it is stored already. */
  at (task: number): { readonly directory: ComparedDirectory, readonly place: number } {
    const first = this.originalOf(task)
    const owner = this.#ownerOf(first)
    const place = first < this.count ? this.#directories.wantedAt(owner, first - this.#firstOf(owner)) : undefined
    if (place === undefined) {
      const why = first < this.count ? `What task ${String(task)} asks for is stored already.` : `There is no task ${String(task)}.`
      throw new FileSyncError('TASK_INVALID', why)
    }
    return { directory: this.#directories.at(owner), place }
  }

  #referenceOf (task: number): EntryReference {
    const { directory, place } = this.at(task)
    return directory.reference(place)
  }

  #ownerOf (task: number): number {
    let low = this.#lastOwner
    if (this.#firstOf(low) <= task && task < this.#firstOf(low + 1)) return low
    low = 0
    // The last directory whose first task is not after this one. Directories without tasks come before it.
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
    const { directory, place } = this.at(task)
    return new TaskFile(directory, place)
  }
}

type IdentifiedFile = Pick<TaskFile, 'path' | 'sizeBytes' | 'mtimeNs' | 'fileId'>

/** The name of an unfinished large file. Another file with the same path, size and time has another name. */
export function partialName ({ path, sizeBytes, mtimeNs, fileId }: IdentifiedFile, hash: HashBytes): string {
  const what = `${String(sizeBytes)}:${String(mtimeNs)}:${String(fileId)}:${path}`
  return toHex(hash(new TextEncoder().encode(what))).slice(0, 40)
}
