import * as fs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { errnoOf, FileSyncError, joinPath, splitPath, toHex } from '@filesync/protocol'
import type { DirectoryEntry, FileEntry, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { sourceDirectories } from '@filesync/transfer/node'
import type { SourceDirectories } from '@filesync/transfer/node'
import { finishDirectoryAt, makeDirectoryAt, PRIVATE_DIRECTORY, removeAt, statAt } from './target-place.ts'
import type { Place } from './target-place.ts'
import { LOCK, lockWork, openWork, refuseArchive, removeWork, WORK } from './target-work.ts'

const MADE = 'made'

/** What to do with a directory when everything in it is in place. */
interface OpenDirectory {
  readonly path: RelativePath
  readonly mode: number
  readonly mtimeNs: bigint
}

export interface RestoreTargetInit {
  /** Absolute path; created if it does not exist. */
  readonly root: string
  /** Whether files and links that are there are replaced, and directories that are there get their mode and time. */
  readonly overwrite: boolean
}

/**
 * The directory that files are restored to. Directories below it are reached without following a link. While a restore runs, or until
 * one that was cut off continues, `.filesync` in it holds the files that are arriving, and which directories the restore has made.
 */
export class RestoreTarget {
  readonly root: string
  readonly overwrite: boolean
  /** Whether its file system takes `a` and `A` for one name. */
  readonly foldsNames: boolean
  /** Whether its file system stores `a.` as `a`, as FAT does. */
  readonly cutsDots: boolean
  readonly #directories: SourceDirectories
  readonly #made: Set<string>
  readonly #madeFd: number
  readonly #open = new Map<RelativePath, OpenDirectory>()

  /** Throws USAGE, TARGET_UNAVAILABLE, or STATE_IN_USE while another process restores to it. */
  constructor ({ root, overwrite }: RestoreTargetInit) {
    this.overwrite = overwrite
    try {
      refuseArchive(root)
      fs.mkdirSync(root, { recursive: true, mode: PRIVATE_DIRECTORY })
      this.root = fs.realpathSync(root)
      openWork(this.root)
      this.#directories = sourceDirectories(new Map([['', this.root]]))
      lockWork(this.#work(LOCK), this.root)
      const made = this.#work(MADE)
      this.#made = readMade(made)
      this.#madeFd = fs.openSync(made.join(''), 'a', 0o600)
      this.foldsNames = this.#tryName('a', ([prefix, name]) => statAt([prefix, `${name.slice(0, -1)}A`]) !== undefined)
      this.cutsDots = this.#tryName('.', ([prefix, name]) => !fs.readdirSync(prefix).includes(name))
    } catch (error) {
      throw asTargetError(error, root)
    }
  }

  /** The place of a name in a directory. Throws the errno of the first component that is no directory. */
  place (directory: RelativePath, name: string): Place {
    return [this.#directories.prefix(directory), name]
  }

  placeOf (path: RelativePath): Place {
    const { directory, name } = splitPath(path)
    return this.place(directory, name)
  }

  /** Where a file arrives: the same place whenever the same file is restored. */
  partial (path: RelativePath, { sizeBytes, mtimeNs }: FileEntry): Place {
    const identity = new TextEncoder().encode(`${sizeBytes} ${mtimeNs} ${path}`)
    return this.#work(toHex(hashBytes(identity)).slice(0, 32))
  }

  /** A place for something that takes no time to write. */
  temporary (): Place {
    return this.#work(`new-${randomBytes(8).toString('hex')}`)
  }

  /**
   * Makes a directory, private until `finish`, unless it is there. Returns false if something else is there that is kept. With
   * `overwrite`, a file or link there makes place.
   */
  openDirectory (parent: RelativePath, entry: DirectoryEntry): boolean {
    const path = joinPath(parent, entry.name)
    const place = this.place(parent, entry.name)
    const there = statAt(place)
    if (there !== undefined && !there.isDirectory()) {
      if (!this.overwrite) return false
      removeAt(place)
    }
    if (there?.isDirectory() !== true) {
      // Noted first: a directory that is noted and not made does no harm.
      this.#note(path)
      if (!makeDirectoryAt(place)) return false
    }
    const isOurs = this.#made.has(path)
    const wasRestored = there !== undefined && Number(there.mode & 0o777n) === entry.mode && isSameTime(there.mtimeNs, entry.mtimeNs)
    if (!isOurs && !wasRestored && !this.overwrite) return true
    this.#open.set(path, { path, mode: entry.mode, mtimeNs: entry.mtimeNs })
    if (there?.isDirectory() === true) makeWritable(place, Number(there.mode & 0o777n), entry.mode)
    return true
  }

  /** Gives the directories their modes and times, deepest first. Returns those that could not be given theirs. */
  finish (): { readonly path: RelativePath, readonly error: unknown }[] {
    const failed: { path: RelativePath, error: unknown }[] = []
    const open = [...this.#open.values()].sort((a, b) => depth(b.path) - depth(a.path))
    this.#directories.releaseHandles()
    for (const { path, mode, mtimeNs } of open) {
      try {
        finishDirectoryAt(this.placeOf(path), { mode, mtimeNs })
      } catch (error) {
        failed.push({ path, error })
      }
    }
    return failed
  }

  /** Removes what only a restore that is cut off needs. */
  removeWork (): void {
    fs.closeSync(this.#madeFd)
    this.#directories.releaseHandles()
    removeWork(this.root)
  }

  /** Leaves what a later call needs to continue. */
  leaveWork (): void {
    fs.closeSync(this.#madeFd)
    removeAt(this.#work(LOCK))
    this.#directories.releaseHandles()
  }

  #work (name: string): Place {
    return this.place(WORK as RelativePath, name)
  }

  #note (path: RelativePath): void {
    if (this.#made.has(path)) return
    this.#made.add(path)
    fs.writeSync(this.#madeFd, `${JSON.stringify(path)}\n`)
  }

  /** What is found out about a file whose name has this ending, while it is there. */
  #tryName (ending: string, isSo: (place: Place) => boolean): boolean {
    const place = this.#work(`probe-${randomBytes(4).toString('hex')}${ending}`)
    fs.closeSync(fs.openSync(place.join(''), 'wx', 0o600))
    try {
      return isSo(place)
    } finally {
      removeAt(place)
    }
  }
}

function depth (path: RelativePath): number {
  return path.split('/').length
}

/** Times are set as seconds in a double. */
function isSameTime (left: bigint, right: bigint): boolean {
  const apart = left - right
  return apart < 2000n && apart > -2000n
}

/** A directory of an earlier restore may forbid writing, or be open to more users than it will be at the end. */
function makeWritable (place: Place, there: number, final: number): void {
  const isWider = (there & ~final & 0o077) !== 0
  const isWritable = (there & PRIVATE_DIRECTORY) === PRIVATE_DIRECTORY
  if (isWider || !isWritable) finishDirectoryAt(place, { mode: PRIVATE_DIRECTORY, mtimeNs: undefined })
}

function readMade (place: Place): Set<string> {
  const made = new Set<string>()
  let text = ''
  try {
    text = fs.readFileSync(place.join(''), 'utf8')
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  for (const line of text.split('\n')) {
    try {
      const path: unknown = JSON.parse(line)
      if (typeof path === 'string') made.add(path)
    } catch {
      // The last line of a process that was killed, or the empty one after it.
    }
  }
  return made
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])
const UNAVAILABLE = new Set(['EIO', 'EROFS', 'ENODEV', 'ENXIO', 'ESTALE', 'ETIMEDOUT', 'EMFILE', 'ENFILE', 'ENOMEM'])

/** The error that ends the restore; for opening the target. */
function asTargetError (error: unknown, root: string): unknown {
  if (errnoOf(error) === '' || error instanceof FileSyncError) return error
  return targetError(error, root) ??
    new FileSyncError('TARGET_UNAVAILABLE', `Cannot restore to ${root} (${errnoOf(error)}). Choose a directory that you can write to.`, {
      cause: error,
    })
}

/** The error that ends the restore if a system error concerns the target as a whole; undefined if it concerns one file. */
export function targetError (error: unknown, root: string): FileSyncError | undefined {
  const code = errnoOf(error)
  if (FULL.has(code)) {
    return new FileSyncError('TARGET_UNAVAILABLE', `There is no room left at ${root} (${code}). What arrived is kept. ` +
      'Free some space, then run the same command again: it continues.', { cause: error })
  }
  if (!UNAVAILABLE.has(code)) return undefined
  return new FileSyncError('TARGET_UNAVAILABLE', `The disk at ${root} reported an error (${code}). ` +
    'Check it, then run the same command again: it continues.', { cause: error })
}
