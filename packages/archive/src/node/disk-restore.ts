import { equalDigests, errnoOf, ROOT_PATH } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { DirectoryState, ExpectedEntry, RestoredFile, RestoreFailure, RestoreOutcome, RestoreRequest } from '../store/content-store.ts'
import { isRestored, PATH_TAKEN } from '../store/restored.ts'
import { filesOf } from '../store/restored-section.ts'
import type { Beneath } from './beneath.ts'
import { setDirectory } from './disk-directories.ts'
import { describeFileError } from './disk-errors.ts'
import { inside, split, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import { relaysFlushes } from './file-system.ts'
import { tryLink } from './hard-link.ts'
import { putInPlace, RestoreTarget } from './restore-target.ts'
import { copyHashed, copyTo, digestAt } from './whole-file.ts'

/** Errors if a file is not in the archive, or part of it cannot be read. */
const LOST = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTREG', 'EISDIR', 'EIO'])
/** A smaller file is read and written as a whole. */
const SMALL_BYTES = 64 << 10
/** So few files are flushed one by one: flushing a whole file system takes a process. */
const FLUSHED_SINGLY = 16

/** Files of one request that are written, and not flushed and put in place yet. */
interface OpenRestore {
  readonly target: RestoreTarget
  /** The directories to be given their modes and times, deepest first. */
  readonly made: readonly DirectoryState[]
  readonly failures: RestoreFailure[]
  readonly area: string
  /** Further names of files, which have to be in place first. */
  readonly names: readonly RestoredFile[]
  count: number
  bytes: number
}

/** Copies files from mirrors and versions to a directory outside the archive. */
export class DiskRestore {
  readonly #beneath: Beneath
  readonly #umask: number
  readonly #open = new Map<number, OpenRestore>()
  /** Valid within a call: other work of this thread closes handles. */
  #from: { readonly directory: string, readonly prefix: string } | undefined
  /** What a small file is read into; one byte longer, to notice files that are longer than they should be. */
  #buffer: Uint8Array | undefined

  constructor (beneath: Beneath, { umask }: { readonly umask: number }) {
    this.#beneath = beneath
    this.#umask = umask
  }

  /**
   * Writes files under other names, to be put in place by `finish`. Returns how many have to be flushed before; 0 if they were flushed
   * here, because they are few or because their file system cannot be flushed as a whole. Throws USAGE if the directory cannot be
   * written to.
   */
  begin (id: number, area: string, request: RestoreRequest): number {
    const { files, sections = [], directories, to, overwrite = false } = request
    this.#from = undefined
    const target = new RestoreTarget(to, { archive: this.#beneath.root, overwrite })
    const failures: RestoreFailure[] = []
    const made = makeDirectories(target, directories, failures)
    const names = files.filter(({ nameOf }) => nameOf !== undefined)
    const restore: OpenRestore = { target, made, failures, area, names, count: 0, bytes: 0 }
    this.#open.set(id, restore)
    for (const section of sections) for (const file of filesOf(section)) this.#restore(file, restore)
    for (const file of files) if (file.nameOf === undefined) this.#restore(file, restore)
    const { pending } = target
    if (pending > FLUSHED_SINGLY && !relaysFlushes(target.out.open(ROOT_PATH))) return pending
    target.flush()
    return 0
  }

  /** @param isFlushed whether what `begin` wrote is on stable storage; if not, each file is flushed */
  finish (id: number, isFlushed: boolean): RestoreOutcome {
    const restore = this.#open.get(id)
    if (restore === undefined) throw new RangeError('No such restore was begun.')
    const { target, made, failures } = restore
    this.#from = undefined
    if (!isFlushed) target.flush()
    placeWritten(restore)
    for (const file of restore.names) this.#restore(file, restore)
    target.flush()
    placeWritten(restore)
    for (const { directory, mtimeNs, mode } of made) {
      target.trim()
      try {
        setDirectory(target.out, directory, { mode, mtimeNs })
      } catch (error) {
        failures.push({ path: directory, message: describeFileError(error) })
      }
    }
    return { files: restore.count, bytes: restore.bytes, failures }
  }

  /** Ends a restore, whether or not it was finished. */
  end (id: number): void {
    this.#open.get(id)?.target.close()
    this.#open.delete(id)
  }

  #restore (file: RestoredFile, restore: OpenRestore): void {
    const { path, from = path, folder, expected, nameOf } = file
    const { target, area } = restore
    try {
      const home = folder === undefined ? area : inside(VERSIONS, `${area}/${folder}`)
      if (expected?.kind === 'symlink') restore.bytes += restoreLink(path, expected, target)
      else restore.bytes += this.#restoreFile(inside(home, from), { path, expected, nameOf }, target)
      restore.count++
    } catch (error) {
      restore.failures.push({ path, message: describeFileError(error), ...(error instanceof Unproven && { mismatch: error.why }) })
    }
  }

  /** Returns the size of the file, even if it exists already, for example after an interrupted restore. */
  #restoreFile (from: string, { path, expected, nameOf }: Wanted, target: RestoreTarget): number {
    const [directory, name] = split(path)
    const { prefix, isEmpty } = target.enter(directory)
    const there = target.overwrite || isEmpty || !disk.existsAt(prefix, name) ? undefined : disk.statAt(prefix, name)
    if (expected !== undefined && there !== undefined && isRestored(expected, there, target.timesFor(expected.mtimeNs))) {
      return expected.sizeBytes
    }
    const isLinked = expected !== undefined && there === undefined && nameOf !== undefined &&
      linkRestored([prefix, name], { nameOf, expected }, target)
    if (isLinked) return expected.sizeBytes
    if (expected === undefined) return this.#restoreUnknown(from, { path, there }, target)
    if (there !== undefined) {
      const [fromPrefix, fromName] = orUnproven(() => this.#placeOf(from))
      throw disk.existsAt(fromPrefix, fromName) ? new Error(PATH_TAKEN) : new Unproven('absent')
    }
    const fd = orUnproven(() => disk.readAt(...this.#placeOf(from)))
    try {
      this.#write(fd, { ...expected, directory, name }, target)
    } finally {
      disk.close(fd)
    }
    return expected.sizeBytes
  }

  /** Restores what is at a place of the archive as it is: nothing is known of it. */
  #restoreUnknown (
    from: string, { path, there }: { readonly path: RelativePath, readonly there: disk.Stat | undefined }, target: RestoreTarget,
  ): number {
    const [fromPrefix, fromName] = this.#placeOf(from)
    const stat = disk.statAt(fromPrefix, fromName)
    if (stat?.kind === 'symlink') {
      return restoreLink(path, { target: disk.targetAt(fromPrefix, fromName), mtimeNs: stat.mtimeNs }, target)
    }
    if (stat !== undefined && there !== undefined) {
      if (!isRestored(stat, there, target.timesFor(stat.mtimeNs))) throw new Error(PATH_TAKEN)
      return stat.sizeBytes
    }
    const fd = disk.readAt(fromPrefix, fromName)
    try {
      const known = disk.statOf(fd)
      const [directory, name] = split(path)
      this.#write(fd, { ...known, digest: undefined, directory, name }, target)
      return known.sizeBytes
    } finally {
      disk.close(fd)
    }
  }

  #write (fd: number, { directory, name, mode, mtimeNs, sizeBytes, digest }: WrittenEntry, target: RestoreTarget): void {
    // Throws before anything is made if the content is not what it must be.
    const small = digest !== undefined && sizeBytes <= SMALL_BYTES ? this.#readSmall(fd, sizeBytes, digest) : undefined
    const { prefix } = target.enter(directory)
    const temporary = target.temporaryName()
    const copy = disk.createAt(prefix, temporary, small === undefined ? 0o600 : mode & 0o777 & ~this.#umask)
    try {
      if (small !== undefined) disk.writeAll(copy, small)
      else if (digest === undefined) copyTo(fd, copy)
      else if (!equalDigests(orUnproven(() => copyHashed(fd, copy)), digest)) throw new Unproven('other')
      if (small === undefined || (mode & this.#umask) !== 0) disk.setMode(copy, mode)
      disk.touch(copy, mtimeNs)
      target.add({ directory, name, temporary, sizeBytes })
    } catch (error) {
      disk.unlinkAt(prefix, temporary)
      throw error
    } finally {
      disk.close(copy)
    }
  }

  #readSmall (fd: number, sizeBytes: number, digest: Digest): Uint8Array {
    const buffer = this.#buffer ??= new Uint8Array(SMALL_BYTES + 1)
    const content = buffer.subarray(0, orUnproven(() => disk.readInto(fd, buffer.subarray(0, sizeBytes + 1), 0)))
    if (content.length !== sizeBytes || !equalDigests(hashBytes(content), digest)) throw new Unproven('other')
    return content
  }

  /** The prefix of a file in the archive, and its name. Files mostly come directory by directory. */
  #placeOf (path: string): [prefix: string, name: string] {
    const [directory, name] = split(path)
    if (this.#from?.directory !== directory) {
      this.#from = undefined
      this.#beneath.trim()
      this.#from = { directory, prefix: this.#beneath.open(directory) }
    }
    return [this.#from.prefix, name]
  }
}

/** Where a file is written to, and what it is given; without a digest its content is copied as it is. */
interface WrittenEntry {
  readonly directory: string
  readonly name: string
  readonly mode: number
  readonly mtimeNs: bigint
  readonly sizeBytes: number
  readonly digest: Digest | undefined
}

type ExpectedFile = Extract<ExpectedEntry, { kind: 'file' }>

/** A file to restore, and what its content must be. */
interface Wanted {
  readonly path: RelativePath
  readonly expected: ExpectedFile | undefined
  /** A file that it is another name of. */
  readonly nameOf: RelativePath | undefined
}

/** Makes directories, and returns those to be given their modes and times, deepest first. */
function makeDirectories (target: RestoreTarget, directories: readonly DirectoryState[], failures: RestoreFailure[]): DirectoryState[] {
  return [...directories].sort((a, b) => a.directory.length - b.directory.length).filter(state => {
    const { directory } = state
    target.trim()
    try {
      target.makeWritable(state)
      return directory !== ROOT_PATH
    } catch (error) {
      failures.push({ path: directory, message: describeFileError(error) })
      return false
    }
  }).reverse()
}

function placeWritten (restore: OpenRestore): void {
  for (const { path, sizeBytes, error } of restore.target.place()) {
    restore.failures.push({ path, message: describeFileError(error) })
    restore.count--
    restore.bytes -= sizeBytes
  }
}

/** Makes a file another name of one that was restored. Returns false if that one is not what it must be, or cannot have another name. */
function linkRestored (
  [prefix, name]: readonly [prefix: string, name: string],
  { nameOf, expected }: { readonly nameOf: RelativePath, readonly expected: ExpectedFile },
  target: RestoreTarget,
): boolean {
  const [directory, first] = split(nameOf)
  try {
    const from = target.out.open(directory)
    const stat = disk.statAt(from, first)
    const isAsExpected = stat !== undefined && (target.written.has(nameOf) || (
      isRestored(expected, stat, target.timesFor(expected.mtimeNs)) && stat.mode === (expected.mode & 0o777) &&
      equalDigests(digestAt(from, first), expected.digest)
    ))
    if (!isAsExpected) return false
    const there = disk.statAt(prefix, name)
    // Renaming over another name of the same file would do nothing.
    if (there?.inode === stat.inode && there.device === stat.device) return true
    const temporary = target.temporaryName()
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
  path: RelativePath, { target, mtimeNs }: Omit<Extract<ExpectedEntry, { kind: 'symlink' }>, 'kind'>, into: RestoreTarget,
): number {
  const [directory, name] = split(path)
  const { prefix } = into.enter(directory)
  const there = into.overwrite ? undefined : disk.statAt(prefix, name)
  if (there !== undefined) {
    if (there.kind !== 'symlink' || disk.targetAt(prefix, name) !== target) throw new Error(PATH_TAKEN)
    return 0
  }
  const temporary = into.temporaryName()
  disk.symlinkAt(prefix, temporary, target)
  disk.touchLinkAt(prefix, temporary, mtimeNs)
  putInPlace(prefix, temporary, name)
  return 0
}
