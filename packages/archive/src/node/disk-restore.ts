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
import { isRestored, STAYS } from '../store/restored.ts'
import { fileTrouble } from './trouble.ts'
import { copyHashed, copyTo } from './whole-file.ts'

/** What is in the way of a directory. */
const BLOCKED = new Set(['ENOTDIR', 'ELOOP'])
/** What tells that there is no such file in the archive, or that a part of it cannot be read. */
const LOST = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTREG', 'EISDIR', 'EIO'])

/** While files are written into a directory, nobody else looks into it, and they can be written whatever its mode is to be. */
const WHILE_WRITTEN = 0o700

/** Where something is brought back to. */
interface Target {
  readonly out: Beneath
  readonly overwrite: boolean
  /** What becomes of a time on its file system. */
  readonly times: (timeNs: bigint) => TimeRange
}

/** Copies files of mirrors and versions out of the archive. */
export class DiskRestore {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  /** Throws USAGE where nothing can be written to the directory. */
  restore (area: string, { files, directories, to, overwrite = false }: RestoreRequest): RestoreOutcome {
    const out = openTarget(to, this.#beneath.root)
    const target = { out, overwrite, times: timesOf(out) }
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
          failures.push({ path: directory, message: fileTrouble(error) })
          return false
        }
      })
      for (const file of files) {
        const { path, from = path, folder, expected } = file
        this.#beneath.trim()
        out.trim()
        try {
          const home = folder === undefined ? area : inside(VERSIONS, `${area}/${folder}`)
          bytes += expected?.kind === 'symlink' ? bringLink(path, expected, target) : this.#copyOut(inside(home, from), { path, expected }, target)
          count++
        } catch (error) {
          failures.push({ path, message: fileTrouble(error), ...(error instanceof Unproven && { mismatch: error.why }) })
        }
      }
      for (const { directory, mtimeNs, mode } of made.reverse()) {
        out.trim()
        try {
          setDirectory(out, directory, { mode, mtimeNs })
        } catch (error) {
          failures.push({ path: directory, message: fileTrouble(error) })
        }
      }
    } finally {
      out.close()
    }
    return { files: count, bytes, failures }
  }

  /** Returns the bytes of the file; those of one that stands there already, too, as after a restore that was interrupted. */
  #copyOut (from: string, { path, expected }: Wanted, target: Target): number {
    const [directory, name] = split(path)
    const prefix = makeDirectory(target, directory)
    const there = target.overwrite ? undefined : disk.statAt(prefix, name)
    if (expected !== undefined && there !== undefined && isRestored(expected, there, target.times(expected.mtimeNs))) return expected.sizeBytes
    const [fromDirectory, fromName] = split(from)
    const fromPrefix = expected === undefined ? this.#beneath.open(fromDirectory) : provenly(() => this.#beneath.open(fromDirectory))
    const stat = disk.statAt(fromPrefix, fromName)
    if (expected === undefined && stat?.kind === 'symlink') return bringLink(path, { target: disk.targetAt(fromPrefix, fromName), mtimeNs: stat.mtimeNs }, target)
    if (stat !== undefined && there !== undefined) {
      if (expected !== undefined || !isRestored(stat, there, target.times(stat.mtimeNs))) throw new Error(STAYS)
      return stat.sizeBytes
    }
    const fd = expected === undefined ? disk.readAt(fromPrefix, fromName) : provenly(() => disk.readAt(fromPrefix, fromName))
    try {
      const { mode, mtimeNs, sizeBytes } = expected ?? disk.statOf(fd)
      const temporary = temporaryName()
      const copy = disk.createAt(prefix, temporary, 0o600)
      try {
        if (expected === undefined) copyTo(fd, copy)
        else if (!equalDigests(provenly(() => copyHashed(fd, copy)), expected.digest)) throw new Unproven('other')
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
      return sizeBytes
    } finally {
      disk.close(fd)
    }
  }
}

/** A file that is to be brought back, and what it has to be. */
interface Wanted {
  readonly path: RelativePath
  readonly expected: Extract<ExpectedEntry, { kind: 'file' }> | undefined
}

/** The store does not have what a file has to be. */
class Unproven extends Error {
  readonly why: 'other' | 'absent'

  constructor (why: Unproven['why']) {
    super(why === 'other' ? 'its content in the archive is not what was stored' : 'it is missing from the archive or cannot be read there')
    this.why = why
  }
}

/** Reads of the archive what another copy may have where this one is gone or cannot be read. */
function provenly<T> (read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw LOST.has(errnoOf(error)) ? new Unproven('absent') : error
  }
}

/** Makes a link; passes over one that stands there already. */
function bringLink (path: RelativePath, { target, mtimeNs }: Omit<Extract<ExpectedEntry, { kind: 'symlink' }>, 'kind'>, into: Target): number {
  const [directory, name] = split(path)
  const prefix = makeDirectory(into, directory)
  const there = into.overwrite ? undefined : disk.statAt(prefix, name)
  if (there !== undefined) {
    if (there.kind !== 'symlink' || disk.targetAt(prefix, name) !== target) throw new Error(STAYS)
    return 0
  }
  const temporary = temporaryName()
  disk.symlinkAt(prefix, temporary, target)
  disk.touchLinkAt(prefix, temporary, mtimeNs)
  putInPlace(prefix, temporary, name)
  return 0
}

/** Tries far times on the file system of the target, once there is one that not every file system holds. */
function timesOf (out: Beneath): Target['times'] {
  let measured: TimeRange | undefined
  return timeNs => isStorableEverywhere(timeNs) ? ALL_TIMES : measured ??= probeTimes(out.open(''), temporaryName())
}

/** A name that nobody has: what stands in the directory is somebody's. */
function temporaryName (): string {
  return `${OWN}-restoring-${randomBytes(6).toString('hex')}`
}

/** Opens the directory to restore to, which is made where it does not exist. Where it is in the archive, nothing is made. */
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

/** Opens a directory of the target. What is no directory is in its way, or gives way where all may be replaced. */
function makeDirectory (target: Target, directory: string): string {
  const { out, overwrite } = target
  try {
    return out.open(directory, 'make')
  } catch (error) {
    if (!BLOCKED.has(errnoOf(error))) throw error
    if (!overwrite) throw new Error(STAYS, { cause: error })
    const [above, name] = split(directory)
    const prefix = makeDirectory(target, above)
    if (disk.statAt(prefix, name)?.kind !== 'directory') disk.unlinkAt(prefix, name)
    return out.open(directory, 'make')
  }
}

/**
 * As {@link makeDirectory}. One that is there already, as after an earlier restore, is made writable while files are written into it,
 * and is never wider than it is to be.
 */
function openForWriting (target: Target, { directory, mode }: DirectoryState): void {
  makeDirectory(target, directory)
  if (directory === ROOT_PATH) return
  const there = directoryStat(target.out, directory).mode
  const isWider = (there & ~mode & 0o077) !== 0
  const isWritable = (there & WHILE_WRITTEN) === WHILE_WRITTEN
  if (isWider || !isWritable) setDirectoryMode(target.out, directory, WHILE_WRITTEN)
}

function putInPlace (prefix: string, temporary: string, name: string): void {
  try {
    disk.replaceAt(prefix, temporary, [prefix, name])
  } catch (error) {
    disk.unlinkAt(prefix, temporary)
    // A directory stands there, and what is in it is not thrown away for a file.
    // Windows says EPERM of that, as of much else.
    const isDirectory = disk.statAt(prefix, name)?.kind === 'directory'
    throw isDirectory || ['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) ? new Error(STAYS, { cause: error }) : error
  }
}
