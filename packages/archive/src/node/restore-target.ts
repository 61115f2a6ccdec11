import { randomBytes } from 'node:crypto'
import { errnoOf, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { DirectoryState } from '../store/content-store.ts'
import { ALL_TIMES, isStorableEverywhere } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { PATH_TAKEN } from '../store/restored.ts'
import { Beneath, makeRoot, realPathOf } from './beneath.ts'
import { directoryStat, setDirectoryMode } from './disk-directories.ts'
import { OWN, split } from './disk-places.ts'
import * as disk from './disk.ts'
import { isInside } from './path-rules.ts'
import { probeTimes } from './probe.ts'

/** Errors if something else is in the place of a directory. */
const BLOCKED = new Set(['ENOTDIR', 'ELOOP'])
/** The mode of a directory while files are written into it: private, and writable whatever its final mode is. */
const WRITABLE_MODE = 0o700

/** A written file that is not at its place yet. */
interface WrittenFile {
  readonly directory: string
  readonly name: string
  readonly temporary: string
  readonly sizeBytes: number
}

interface EnteredDirectory {
  readonly directory: string
  readonly prefix: string
  /** It had no names when it was entered, and existing files are not replaced: nothing can be in the way. */
  readonly isEmpty: boolean
}

/** The directory that files are restored to. */
export class RestoreTarget {
  readonly out: Beneath
  readonly overwrite: boolean
  /** Paths of files that were put in place. */
  readonly written: Set<string> = new Set()
  /** In the name of every temporary file: the directory may contain other files. */
  readonly #mark = randomBytes(6).toString('hex')
  #temporaries = 0
  #pending: WrittenFile[] = []
  #current: EnteredDirectory | undefined
  #opened: { readonly directory: string, readonly prefix: string } | undefined
  #times: TimeRange | undefined

  /** Creates the directory if it does not exist. If it is inside the archive, nothing is created. Throws USAGE. */
  constructor (to: string, { archive, overwrite }: { readonly archive: string, readonly overwrite: boolean }) {
    this.out = openDirectory(to, archive)
    this.overwrite = overwrite
  }

  /** The number of files that are written and not at their places yet. */
  get pending (): number {
    return this.#pending.length
  }

  /** The range of times that the file system can hold. It is measured as soon as there is a time that not every file system can hold. */
  timesFor (timeNs: bigint): TimeRange {
    return isStorableEverywhere(timeNs) ? ALL_TIMES : this.#times ??= probeTimes(this.out.open(''), this.temporaryName())
  }

  temporaryName (): string {
    return `${OWN}-restoring-${this.#mark}-${(this.#temporaries++).toString(36)}`
  }

  /** Opens a directory for the files that follow, which mostly are in the same one. The prefix is valid until the next call or `trim`. */
  enter (directory: string): EnteredDirectory {
    if (this.#current?.directory === directory) return this.#current
    this.trim()
    const prefix = this.make(directory)
    return this.#current = { directory, prefix, isEmpty: !this.overwrite && disk.namesIn(prefix).length === 0 }
  }

  /** See `Beneath.trim`. */
  trim (): void {
    this.#current = undefined
    this.#opened = undefined
    this.out.trim()
  }

  /** Opens a directory, and creates it if it does not exist. With `overwrite`, removes what is in its place. */
  make (directory: string): string {
    try {
      return this.out.open(directory, 'make')
    } catch (error) {
      if (!BLOCKED.has(errnoOf(error))) throw error
      if (!this.overwrite) throw new Error(PATH_TAKEN, { cause: error })
      const [above, name] = split(directory)
      const prefix = this.make(above)
      if (disk.statAt(prefix, name)?.kind !== 'directory') disk.unlinkAt(prefix, name)
      return this.out.open(directory, 'make')
    }
  }

  /**
   * As {@link make}. A directory that exists already, for example after an earlier restore, is made writable while files are written
   * into it, and is at no time accessible to more users than its final mode allows.
   */
  makeWritable ({ directory, mode }: DirectoryState): void {
    this.make(directory)
    if (directory === ROOT_PATH) return
    const there = directoryStat(this.out, directory).mode
    const isWider = (there & ~mode & 0o077) !== 0
    const isWritable = (there & WRITABLE_MODE) === WRITABLE_MODE
    if (isWider || !isWritable) setDirectoryMode(this.out, directory, WRITABLE_MODE)
  }

  /** Notes a file that was written, to be put in place after it is flushed. */
  add (file: WrittenFile): void {
    this.#pending.push(file)
  }

  /** Flushes the files that are written one by one. */
  flush (): void {
    for (const { directory, temporary } of this.#pending) {
      const fd = disk.readAt(this.#open(directory), temporary)
      try {
        disk.syncFile(fd)
      } finally {
        disk.close(fd)
      }
    }
  }

  /** Puts the files that are written and flushed in place; returns those for which that failed. */
  place (): { readonly path: string, readonly sizeBytes: number, readonly error: unknown }[] {
    const failed: { readonly path: string, readonly sizeBytes: number, readonly error: unknown }[] = []
    const pending = this.#pending
    this.#pending = []
    for (const { directory, name, temporary, sizeBytes } of pending) {
      const path = directory === '' ? name : `${directory}/${name}`
      try {
        const prefix = this.#open(directory)
        // On a file system that folds names, another file of this state may have taken the name since.
        if (!this.overwrite && disk.existsAt(prefix, name)) {
          disk.unlinkAt(prefix, temporary)
          throw new Error(PATH_TAKEN)
        }
        putInPlace(prefix, temporary, name)
        this.written.add(path)
      } catch (error) {
        failed.push({ path, sizeBytes, error })
      }
    }
    return failed
  }

  /** Removes what is not in place yet. */
  close (): void {
    for (const { directory, temporary } of this.#pending) {
      try {
        disk.unlinkAt(this.#open(directory), temporary)
      } catch { /* what is left of it has a name that says what it was */ }
    }
    this.out.close()
  }

  #open (directory: string): string {
    if (this.#opened?.directory !== directory) {
      this.trim()
      this.#opened = { directory, prefix: this.out.open(directory) }
    }
    return this.#opened.prefix
  }
}

export function putInPlace (prefix: string, temporary: string, name: string): void {
  try {
    disk.replaceAt(prefix, temporary, [prefix, name])
  } catch (error) {
    disk.unlinkAt(prefix, temporary)
    // A directory is never removed to make place for a file. Windows reports EPERM for it, as for many other things.
    const isDirectory = disk.statAt(prefix, name)?.kind === 'directory'
    throw isDirectory || ['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) ? new Error(PATH_TAKEN, { cause: error }) : error
  }
}

function openDirectory (to: string, archive: string): Beneath {
  try {
    const real = realPathOf(to)
    if (isInside(real, archive)) {
      throw new FileSyncError('USAGE', `${to} is inside the archive. Choose a directory outside the archive to restore to.`)
    }
    makeRoot(real)
    return new Beneath(real)
  } catch (cause) {
    if (errnoOf(cause) === 'USAGE') throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('USAGE', `Cannot restore to ${to}: ${why}. Choose a directory that the server can write to.`, { cause })
  }
}
