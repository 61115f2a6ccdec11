import {
  ARCHIVE_ID_FILE, archiveIdOf, checkJoin, checkName, isSymlinkTarget, joinPath, LIMITS, problem, ProblemList, writeFileId,
} from '@filesync/protocol'
import type { ListingWriter, Name, ProblemCode } from '@filesync/protocol'
import type { NodeId } from './directory-node.ts'
import type { DirectoryId, ExcludedName, LinkPolicy, ListedDirectory, NamedEntries, Unsettled } from './directory-reading.ts'
import { entryType } from './entry-stat.ts'
import type { EntryStat } from './entry-stat.ts'
import { IGNORE_FILE_MAX_BYTES, IGNORE_FILE_NAME } from './ignore-rules.ts'
import type { IgnoreRules } from './ignore-rules.ts'
import { leftOut } from './left-out.ts'
import type { LeftOut, LeftOutCode } from './left-out.ts'
import type { OpenDirectory } from './open-directory.ts'
import { settlesInMs } from './settle.ts'
import { sortNames } from './sort-names.ts'
import { leadsOutside } from './symlink-target.ts'
import { faultText, isSystemFault } from './system-fault.ts'
import { explainName } from './unicode-name.ts'

const PERMISSIONS = 0o777
const OF_ARCHIVE = 'the directory is the archive of a FileSync server, and this is the part with its index and versions'
/** The file has one block of 4 KiB. */
const ARCHIVE_ID_MAX_BYTES = 8192
const LONGEST_NAME = 'x'.repeat(LIMITS.nameBytes) as Name
/** So many ignored names are kept, so that a directory can be patched in which some of them come and go. */
const IGNORED_NAMES_MAX = 1024
const NO_IDS = new Int32Array(0)
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface ReadContext {
  /** Receives the listing. */
  readonly writer: ListingWriter
  /** The rules of the directories above. */
  readonly rules: IgnoreRules
  readonly settleMs: number
  readonly nowMs: number
  /** Whether links that lead out of the source are listed as they are or left out. */
  readonly links: LinkPolicy
  readonly excluded: readonly DirectoryId[]
  readonly omitted?: readonly Name[] | undefined
  readonly isMarked?: boolean | undefined
  readonly named?: NamedContext | undefined
}

/** The entries to look at, with the rules for them compiled. */
interface NamedContext extends Pick<NamedEntries, 'names' | 'known' | 'id'> {
  readonly rules: IgnoreRules
}

/**
 * Reads one directory into a listing whose digests of subdirectories are still zero. An entry that cannot be listed is a
 * problem, unless it is left out by its nature. Throws the file system's error if the directory itself or its ignore file cannot be read.
 */
export function readDirectory (directory: OpenDirectory, context: ReadContext): ListedDirectory {
  const { named } = context
  return (named === undefined ? undefined : readNames(directory, { ...context, ...named })) ?? readWhole(directory, context)
}

/**
 * Looks at some entries of a directory only. Undefined if all of them must be read: because it is another directory than before, because
 * names need not be spelled as in events, because an entry is not plain, or because a file has several names and its others may
 * be in the directory too.
 */
function readNames (directory: OpenDirectory, context: ReadContext & NamedContext): ListedDirectory | undefined {
  const { names, id, known } = context
  if (id !== undefined && !isSameId(directory.id(), id)) return undefined
  if (!directory.hasExactNames([...names, ...known])) return undefined
  const listed = new ListedEntries(directory, context)
  for (const name of names) {
    listed.add(name)
    if (!listed.isPlain) return undefined
  }
  return { ...listed.finish(undefined), isOfNames: true }
}

function isSameId (left: NodeId, right: NodeId): boolean {
  return left.idLow === right.idLow && left.idHigh === right.idHigh
}

function readWhole (directory: OpenDirectory, context: ReadContext): ListedDirectory {
  const names = sortNames(directory.names())
  const ruleText = names.includes(IGNORE_FILE_NAME) ? directory.text(IGNORE_FILE_NAME, IGNORE_FILE_MAX_BYTES) : undefined
  const rules = ruleText === undefined ? context.rules
    : context.rules.with({ source: joinPath(directory.path, IGNORE_FILE_NAME as Name), directory: directory.path, text: ruleText })
  const listed = new ListedEntries(directory, { ...context, rules })
  let previous: string | undefined
  for (const name of names) {
    // Some file systems list a name twice if it is renamed meanwhile.
    if (name !== previous && context.omitted?.includes(name as Name) !== true) listed.add(name)
    previous = name
  }
  const contents = listed.finish(ruleText)
  return context.isMarked === true || directory.entersDevice ? { ...contents, mount: directory.describeMount() } : contents
}

class ListedEntries {
  readonly #directory: OpenDirectory
  readonly #context: ReadContext
  readonly #prefix: string
  readonly #isFarFromLimits: boolean
  readonly #writer: ListingWriter
  readonly #childNames: Name[] = []
  readonly #childIds: number[] = []
  readonly #unsettled: Unsettled[] = []
  readonly #problems = new ProblemList()
  #leftOut: ProblemList<LeftOut> | undefined
  #excluded: ExcludedName[] | undefined
  #archiveId: string | undefined
  readonly #ignoredNames: string[] = []
  #ignored = 0
  #files = 0
  #bytes = 0
  #complete = true
  #hasOtherNames = false

  constructor (directory: OpenDirectory, context: ReadContext) {
    this.#directory = directory
    this.#context = context
    this.#writer = context.writer
    this.#writer.begin()
    this.#prefix = directory.path === '' ? '' : `${directory.path}/`
    this.#isFarFromLimits = checkJoin(directory.path, LONGEST_NAME) === undefined
  }

  add (name: string): void {
    const fault = checkName(name) ?? this.#checkPathLimits(name as Name)
    const path = this.#prefix + name
    if (fault !== undefined) {
      // An invalid name is not looked up, so its type is unknown and it is matched as a file.
      if (this.#context.rules.ignores(path, name, false)) this.#ignore(name)
      else if (fault === 'NAME_RESERVED') this.#addReserved(name)
      // A file system cannot cause the other faults.
      else this.#report(name, fault as ProblemCode, fault === 'NAME_NOT_UNICODE' ? explainName(this.#directory, name) : undefined)
      return
    }
    let stat: EntryStat | undefined
    try {
      stat = this.#directory.stat(name)
    } catch (error) {
      this.#reportUnreadable(name, error)
      return
    }
    if (stat !== undefined) this.#addEntry(name as Name, path, stat)
  }

  /** Whether nothing was found but entries that are listed or ignored, and that have no other names. */
  get isPlain (): boolean {
    return this.#complete && this.#problems.count === 0 && this.#leftOut === undefined && this.#excluded === undefined &&
      this.#archiveId === undefined && !this.#hasOtherNames
  }

  /** The server's own part of an archive is left out. Anything else of that name is the user's, and a problem. */
  #addReserved (name: string): void {
    this.#archiveId ??= archiveIdIn(this.#directory, name)
    if (this.#archiveId === undefined) this.#report(name, 'NAME_RESERVED')
    else this.#leaveOut(name, 'NAME_RESERVED', OF_ARCHIVE)
  }

  finish (ruleText: string | undefined): ListedDirectory {
    return {
      status: 'read', ...this.#writer.end(),
      childNames: this.#childNames, childIds: this.#childIds.length === 0 ? NO_IDS : Int32Array.from(this.#childIds),
      files: this.#files, bytes: this.#bytes, ignored: this.#ignored,
      ...(this.#ignored > 0 && this.#ignored <= IGNORED_NAMES_MAX && { ignoredNames: this.#ignoredNames }),
      problems: this.#problems.first, problemCount: this.#problems.count, complete: this.#complete,
      ...(this.#leftOut !== undefined && { leftOut: { first: this.#leftOut.first, count: this.#leftOut.count } }),
      ...(this.#excluded !== undefined && { excluded: this.#excluded }),
      unsettled: this.#unsettled, archiveId: this.#archiveId, ruleText,
    }
  }

  #ignore (name: string): void {
    if (this.#ignored++ < IGNORED_NAMES_MAX) this.#ignoredNames.push(name)
  }

  // Almost every directory is so far from the limits of a path that no name can exceed them.
  #checkPathLimits (name: Name): ReturnType<typeof checkJoin> {
    return this.#isFarFromLimits ? undefined : checkJoin(this.#directory.path, name)
  }

  #addEntry (name: Name, path: string, stat: EntryStat): void {
    const type = entryType(stat.mode)
    if (this.#context.rules.ignores(path, name, type === 'directory')) this.#ignore(name)
    else if (type === 'file') this.#addFile(name, stat)
    else if (type === 'directory') this.#addDirectory(name, stat)
    else if (type === 'symlink') this.#addSymlink(name, stat)
    else this.#leaveOut(name, 'SPECIAL_FILE')
  }

  #addFile (name: Name, stat: EntryStat): void {
    const { mode, sizeBytes } = stat
    if (sizeBytes > LIMITS.fileBytes) {
      this.#report(name, 'TOO_LARGE')
      return
    }
    const settleLeftMs = settlesInMs(stat, this.#context.nowMs, this.#context.settleMs)
    if (settleLeftMs !== undefined) {
      this.#unsettled.push({ name, settlesInMs: settleLeftMs })
      this.#report(name, 'UNSETTLED')
    }
    if (this.#context.named !== undefined && this.#directory.links() > 1) this.#hasOtherNames = true
    this.#files++
    this.#bytes += sizeBytes
    const { halves } = stat
    if (this.#directory.hasStableInode(name, stat)) writeFileId(stat.fileIdInput, stat.fileIdHalves)
    else stat.fileIdHalves.fill(0)
    halves[2] = mode & PERMISSIONS
    halves[4] = sizeBytes
    halves[5] = sizeBytes / 0x1_0000_0000
    this.#writer.file(name, halves)
  }

  #addDirectory (name: Name, stat: EntryStat): void {
    if (this.#directory.isAncestor(stat)) {
      this.#leaveOut(name, 'DIRECTORY_LOOP', 'everything in it is listed above')
      return
    }
    const excludedAt = this.#excludedIndex(stat)
    if (excludedAt >= 0) {
      this.#excluded = [...this.#excluded ?? [], { name, index: excludedAt }]
      return
    }
    writeFileId(stat.fileIdInput, stat.fileIdHalves)
    this.#childNames.push(name)
    const { idLow, idHigh } = stat.nodeId
    this.#childIds.push(idLow, idHigh)
    this.#writer.directory(name, stat.mode & PERMISSIONS, stat.mtimeNs)
  }

  #addSymlink (name: Name, { mtimeNs }: EntryStat): void {
    try {
      const bytes = this.#directory.linkTarget(name)
      if (bytes === undefined) return
      const target = decode(bytes)
      if (target === undefined || !isSymlinkTarget(target)) this.#report(name, 'NAME_NOT_UNICODE', 'the text of the symbolic link')
      else if (this.#context.links === 'refuse' && leadsOutside(this.#directory.path, target)) {
        this.#leaveOut(name, 'SYMLINK_OUTSIDE', `it points to ${JSON.stringify(target)}`)
      } else this.#writer.symlink(name, mtimeNs, target)
    } catch (error) {
      this.#reportUnreadable(name, error)
    }
  }

  #excludedIndex (stat: EntryStat): number {
    const { excluded } = this.#context
    return excluded.length === 0 ? -1 : excluded.findIndex(({ device, inode }) => stat.ino === inode && stat.dev === device)
  }

  // The entry would look deleted if the listing were taken for complete.
  #reportUnreadable (name: string, error: unknown): void {
    if (!isSystemFault(error)) throw error
    this.#complete = false
    this.#report(name, 'UNREADABLE', faultText(error))
  }

  #leaveOut (name: string, code: LeftOutCode, detail?: string): void {
    this.#leftOut ??= new ProblemList<LeftOut>()
    this.#leftOut.add(leftOut(this.#prefix + name, code, detail))
  }

  #report (name: string, code: ProblemCode, detail?: string): void {
    this.#problems.add(problem(this.#prefix + name, code, detail))
  }
}

function archiveIdIn (directory: OpenDirectory, name: string): string | undefined {
  try {
    const text = directory.text(`${name}/${ARCHIVE_ID_FILE}`, ARCHIVE_ID_MAX_BYTES)
    return text === undefined ? undefined : archiveIdOf(text)
  } catch (error) {
    // Which archive it is remains unknown; the reserved name is reported in any case.
    if (isSystemFault(error)) return undefined
    throw error
  }
}

function decode (bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
