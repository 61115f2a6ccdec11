import { randomBytes } from 'node:crypto'
import { equalDigests, errnoOf, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryState, ExpectedEntry, RestoreFailure, RestoreOutcome, RestoreRequest } from '../store/content-store.ts'
import { Beneath, makeRoot, realPathOf } from './beneath.ts'
import { directoryStat, setDirectory, setDirectoryMode } from './disk-directories.ts'
import { inside, OWN, split, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import { isInside } from './path-rules.ts'
import { ALL_TIMES, isStorableEverywhere } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { probeTimes } from './probe.ts'
import { isRestored, PATH_TAKEN } from '../store/restored.ts'
import { describeFileError } from './disk-errors.ts'
import { tryLink } from './hard-link.ts'
import { copyHashed, copyTo, digestAt } from './whole-file.ts'

/** Errors if something else is in the place of a directory. */
const BLOCKED = new Set(['ENOTDIR', 'ELOOP'])
/** Errors if a file is not in the archive, or part of it cannot be read. */
const LOST = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTREG', 'EISDIR', 'EIO'])

/** The mode of a directory while files are written into it: private, and writable whatever its final mode is. */
const WRITABLE_MODE = 0o700

/** The directory that files are restored to. */
interface Target {
  readonly out: Beneath
  readonly overwrite: boolean
  /** Files that were written by this call. */
  readonly written: Set<string>
  /** The range of times that its file system can hold. */
  readonly times: (timeNs: bigint) => TimeRange
}

/** Copies files from mirrors and versions to a directory outside the archive. */
export class DiskRestore {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  /** Throws USAGE if the directory cannot be written to. */
  restore (area: string, { files, directories, to, overwrite = false }: RestoreRequest): RestoreOutcome {
    const out = openTarget(to, this.#beneath.root)
    const target = { out, overwrite, written: new Set<string>(), times: timesOf(out) }
    const failures: RestoreFailure[] = []
    let [count, bytes] = [0, 0]
    try {
      const made = [...directories].sort((a, b) => a.directory.length - b.directory.length).filter(state => {
        const { directory } = state
        out.trim()
        try {
          openForWriting(target, state)
          return directory !== ROOT_PATH
        } catch (error) {
          failures.push({ path: directory, message: describeFileError(error) })
          return false
        }
      })
      for (const file of files) {
        const { path, from = path, folder, expected, nameOf } = file
        this.#beneath.trim()
        out.trim()
        try {
          const home = folder === undefined ? area : inside(VERSIONS, `${area}/${folder}`)
          if (expected?.kind === 'symlink') bytes += restoreLink(path, expected, target)
          else bytes += this.#restoreFile(inside(home, from), { path, expected, nameOf }, target)
          count++
        } catch (error) {
          failures.push({ path, message: describeFileError(error), ...(error instanceof Unproven && { mismatch: error.why }) })
        }
      }
      for (const { directory, mtimeNs, mode } of made.reverse()) {
        out.trim()
        try {
          setDirectory(out, directory, { mode, mtimeNs })
        } catch (error) {
          failures.push({ path: directory, message: describeFileError(error) })
        }
      }
    } finally {
      out.close()
    }
    return { files: count, bytes, failures }
  }

  /** Returns the size of the file, even if it exists already, for example after an interrupted restore. */
  #restoreFile (from: string, { path, expected, nameOf }: Wanted, target: Target): number {
    const [directory, name] = split(path)
    const prefix = makeDirectory(target, directory)
    const there = target.overwrite ? undefined : disk.statAt(prefix, name)
    if (expected !== undefined && there !== undefined && isRestored(expected, there, target.times(expected.mtimeNs))) {
      return expected.sizeBytes
    }
    const isLinked = expected !== undefined && there === undefined && nameOf !== undefined &&
      linkRestored([prefix, name], { nameOf, expected }, target)
    if (isLinked) return expected.sizeBytes
    const [fromDirectory, fromName] = split(from)
    const fromPrefix = expected === undefined ? this.#beneath.open(fromDirectory) : orUnproven(() => this.#beneath.open(fromDirectory))
    const stat = disk.statAt(fromPrefix, fromName)
    if (expected === undefined && stat?.kind === 'symlink') {
      return restoreLink(path, { target: disk.targetAt(fromPrefix, fromName), mtimeNs: stat.mtimeNs }, target)
    }
    if (stat !== undefined && there !== undefined) {
      if (expected !== undefined || !isRestored(stat, there, target.times(stat.mtimeNs))) throw new Error(PATH_TAKEN)
      return stat.sizeBytes
    }
    const fd = expected === undefined ? disk.readAt(fromPrefix, fromName) : orUnproven(() => disk.readAt(fromPrefix, fromName))
    try {
      const { mode, mtimeNs, sizeBytes } = expected ?? disk.statOf(fd)
      const temporary = temporaryName()
      const copy = disk.createAt(prefix, temporary, 0o600)
      try {
        if (expected === undefined) copyTo(fd, copy)
        else if (!equalDigests(orUnproven(() => copyHashed(fd, copy)), expected.digest)) throw new Unproven('other')
        disk.setMode(copy, mode)
        disk.touch(copy, mtimeNs)
        disk.syncFile(copy)
      } catch (error) {
        disk.unlinkAt(prefix, temporary)
        throw error
      } finally {
        disk.close(copy)
      }
      putInPlace(prefix, temporary, name)
      target.written.add(path)
      return sizeBytes
    } finally {
      disk.close(fd)
    }
  }
}

/** A file to restore, and what its content must be. */
interface Wanted {
  readonly path: RelativePath
  readonly expected: Extract<ExpectedEntry, { kind: 'file' }> | undefined
  /** A file that it is another name of. */
  readonly nameOf: RelativePath | undefined
}

/** Makes a file another name of one that was restored. Returns false if that one is not what it must be, or cannot have another name. */
function linkRestored (
  [prefix, name]: readonly [prefix: string, name: string],
  { nameOf, expected }: { readonly nameOf: RelativePath, readonly expected: Extract<ExpectedEntry, { kind: 'file' }> },
  target: Target,
): boolean {
  const [directory, first] = split(nameOf)
  try {
    const from = target.out.open(directory)
    const stat = disk.statAt(from, first)
    const isAsExpected = stat !== undefined && (target.written.has(nameOf) || (
      isRestored(expected, stat, target.times(expected.mtimeNs)) && stat.mode === (expected.mode & 0o777) &&
      equalDigests(digestAt(from, first), expected.digest)
    ))
    if (!isAsExpected) return false
    const there = disk.statAt(prefix, name)
    // Renaming over another name of the same file would do nothing.
    if (there?.inode === stat.inode && there.device === stat.device) return true
    const temporary = temporaryName()
    if (!tryLink([from, first], [prefix, temporary])) return false
    putInPlace(prefix, temporary, name)
    return true
  } catch (error) {
    // As a copy, it fails with a better reason, if it does.
    if (errnoOf(error) === '') throw error
    return false
  }
}

/** The archive does not have the content that a file must have. */
class Unproven extends Error {
  readonly why: 'other' | 'absent'

  constructor (why: Unproven['why']) {
    super(why === 'other'
      ? 'its content in the archive no longer matches its digest'
      : 'it is missing from the archive or cannot be read there')
    this.why = why
  }
}

/** Reads from the archive. If the file is missing or unreadable, throws {@link Unproven}, because another copy may have its content. */
function orUnproven<T> (read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw LOST.has(errnoOf(error)) ? new Unproven('absent') : error
  }
}

/** Creates a link, unless the same link exists already. */
function restoreLink (
  path: RelativePath, { target, mtimeNs }: Omit<Extract<ExpectedEntry, { kind: 'symlink' }>, 'kind'>, into: Target,
): number {
  const [directory, name] = split(path)
  const prefix = makeDirectory(into, directory)
  const there = into.overwrite ? undefined : disk.statAt(prefix, name)
  if (there !== undefined) {
    if (there.kind !== 'symlink' || disk.targetAt(prefix, name) !== target) throw new Error(PATH_TAKEN)
    return 0
  }
  const temporary = temporaryName()
  disk.symlinkAt(prefix, temporary, target)
  disk.touchLinkAt(prefix, temporary, mtimeNs)
  putInPlace(prefix, temporary, name)
  return 0
}

/** Measures which times the file system of the target can hold, as soon as there is one that not every file system can. */
function timesOf (out: Beneath): Target['times'] {
  let measured: TimeRange | undefined
  return timeNs => isStorableEverywhere(timeNs) ? ALL_TIMES : measured ??= probeTimes(out.open(''), temporaryName())
}

/** A name that is not in use: the directory may contain other files. */
function temporaryName (): string {
  return `${OWN}-restoring-${randomBytes(6).toString('hex')}`
}

/** Opens the directory to restore to, and creates it if it does not exist. If it is inside the archive, nothing is created. */
function openTarget (to: string, archive: string): Beneath {
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

/** Opens a directory of the target, and creates it if it does not exist. With `overwrite`, removes what is in its place. */
function makeDirectory (target: Target, directory: string): string {
  const { out, overwrite } = target
  try {
    return out.open(directory, 'make')
  } catch (error) {
    if (!BLOCKED.has(errnoOf(error))) throw error
    if (!overwrite) throw new Error(PATH_TAKEN, { cause: error })
    const [above, name] = split(directory)
    const prefix = makeDirectory(target, above)
    if (disk.statAt(prefix, name)?.kind !== 'directory') disk.unlinkAt(prefix, name)
    return out.open(directory, 'make')
  }
}

/**
 * As {@link makeDirectory}. A directory that exists already, for example after an earlier restore, is made writable while files are
 * written into it, and is at no time accessible to more users than its final mode allows.
 */
function openForWriting (target: Target, { directory, mode }: DirectoryState): void {
  makeDirectory(target, directory)
  if (directory === ROOT_PATH) return
  const there = directoryStat(target.out, directory).mode
  const isWider = (there & ~mode & 0o077) !== 0
  const isWritable = (there & WRITABLE_MODE) === WRITABLE_MODE
  if (isWider || !isWritable) setDirectoryMode(target.out, directory, WRITABLE_MODE)
}

function putInPlace (prefix: string, temporary: string, name: string): void {
  try {
    disk.replaceAt(prefix, temporary, [prefix, name])
  } catch (error) {
    disk.unlinkAt(prefix, temporary)
    // A directory is never removed to make place for a file. Windows reports EPERM for it, as for many other things.
    const isDirectory = disk.statAt(prefix, name)?.kind === 'directory'
    throw isDirectory || ['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) ? new Error(PATH_TAKEN, { cause: error }) : error
  }
}
