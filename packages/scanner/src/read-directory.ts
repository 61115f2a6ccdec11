import {
  checkJoin, checkName, digestOffsets, encodeListing, isSymlinkTarget, joinPath, LIMITS, problem,
} from '@filesync/protocol'
import type { Digest, Entry, Name, Problem, ProblemCode } from '@filesync/protocol'
import { MAX_PROBLEMS_PER_DIRECTORY } from './directory-reading.ts'
import type { DirectoryContents, Unsettled } from './directory-reading.ts'
import { clampTimeNs, entryType } from './entry-stat.ts'
import type { EntryStat } from './entry-stat.ts'
import { faultText, isSystemFault } from './fault-text.ts'
import { fileIdentity } from './identity.ts'
import { IGNORE_FILE_MAX_BYTES, IGNORE_FILE_NAME } from './ignore-rules.ts'
import type { IgnoreRules } from './ignore-rules.ts'
import type { OpenDirectory } from './open-directory.ts'
import { settlesInMs } from './settle.ts'
import { sortNames } from './sort-names.ts'
import { leadsOutside } from './symlink-target.ts'
import { explainName } from './unicode-name.ts'

const NO_DIGEST = new Uint8Array(32) as Digest
const LONGEST_NAME = 'x'.repeat(LIMITS.nameBytes) as Name
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface ReadContext {
  /** The rules of the directories above. */
  readonly rules: IgnoreRules
  readonly rootDevice: bigint
  readonly settleMs: number
  readonly nowMs: number
}

/**
 * Reads one directory into a listing whose digests of subdirectories are still zero. What cannot be listed is a problem.
 * Throws what the file system throws when the directory itself, or its ignore file, cannot be read.
 */
export function readDirectory (directory: OpenDirectory, context: ReadContext): DirectoryContents {
  const names = sortNames(directory.names())
  const ruleText = names.includes(IGNORE_FILE_NAME) ? directory.text(IGNORE_FILE_NAME, IGNORE_FILE_MAX_BYTES) : undefined
  const rules = ruleText === undefined ? context.rules
    : context.rules.with({ source: joinPath(directory.path, IGNORE_FILE_NAME as Name), directory: directory.path, text: ruleText })
  const listed = new ListedEntries(directory, { ...context, rules })
  for (const name of names) listed.take(name)
  return listed.finish(ruleText)
}

class ListedEntries {
  readonly #directory: OpenDirectory
  readonly #context: ReadContext
  readonly #prefix: string
  readonly #isRoomy: boolean
  readonly #entries: Entry[] = []
  readonly #childNames: Name[] = []
  readonly #childIdentities: bigint[] = []
  readonly #unsettled: Unsettled[] = []
  readonly #problems: Problem[] = []
  #problemCount = 0
  #ignored = 0
  #files = 0
  #bytes = 0
  #complete = true

  constructor (directory: OpenDirectory, context: ReadContext) {
    this.#directory = directory
    this.#context = context
    this.#prefix = directory.path === '' ? '' : `${directory.path}/`
    this.#isRoomy = checkJoin(directory.path, LONGEST_NAME) === undefined
  }

  take (name: string): void {
    const fault = checkName(name) ?? this.#checkPlace(name as Name)
    const path = this.#prefix + name
    if (fault !== undefined) {
      // What cannot even be named cannot be asked for its kind; a rule for files decides.
      if (this.#context.rules.ignores(path, name, false)) this.#ignored++
      // The other faults cannot come from a file system.
      else this.#tell(name, fault as ProblemCode, fault === 'NAME_NOT_UNICODE' ? explainName(this.#directory, name) : undefined)
      return
    }
    let stat: EntryStat | undefined
    try {
      stat = this.#directory.stat(name)
    } catch (error) {
      this.#unreadable(name, error)
      return
    }
    if (stat !== undefined) this.#describe(name as Name, path, stat)
  }

  finish (ruleText: string | undefined): DirectoryContents {
    const block = encodeListing(this.#entries)
    return {
      status: 'read', block, start: 0, end: block.length,
      digestOffsets: this.#childNames.length === 0 ? [] : digestOffsets(block),
      childNames: this.#childNames, childIdentities: this.#childIdentities,
      files: this.#files, bytes: this.#bytes, ignored: this.#ignored,
      problems: this.#problems, problemCount: this.#problemCount, complete: this.#complete,
      unsettled: this.#unsettled, ruleText,
    }
  }

  // Almost every directory is so far from the limits of a path that no name can reach them.
  #checkPlace (name: Name): ReturnType<typeof checkJoin> {
    return this.#isRoomy ? undefined : checkJoin(this.#directory.path, name)
  }

  #describe (name: Name, path: string, stat: EntryStat): void {
    const mode = Number(stat.mode)
    const type = entryType(mode)
    if (this.#context.rules.ignores(path, name, type === 'directory')) this.#ignored++
    else if (type === 'file') this.#file(name, stat, mode)
    else if (type === 'directory') this.#subdirectory(name, stat, mode)
    else if (type === 'symlink') this.#symlink(name, stat)
    else this.#tell(name, 'SPECIAL_FILE')
  }

  #file (name: Name, stat: EntryStat, mode: number): void {
    const sizeBytes = Number(stat.size)
    if (sizeBytes > LIMITS.fileBytes) {
      this.#tell(name, 'TOO_LARGE')
      return
    }
    const restMs = settlesInMs(stat, this.#context.nowMs, this.#context.settleMs)
    if (restMs !== undefined) {
      this.#unsettled.push({ name, settlesInMs: restMs })
      this.#tell(name, 'UNSETTLED')
    }
    this.#files++
    this.#bytes += sizeBytes
    this.#entries.push({
      kind: 'file', name, sizeBytes, mtimeNs: clampTimeNs(stat.mtimeNs), mode: mode & 0o777,
      identity: fileIdentity(stat, this.#context.rootDevice),
    })
  }

  #subdirectory (name: Name, stat: EntryStat, mode: number): void {
    if (this.#directory.isAncestor(stat)) {
      this.#tell(name, 'DIRECTORY_LOOP')
      return
    }
    this.#childNames.push(name)
    this.#childIdentities.push(fileIdentity(stat, this.#context.rootDevice))
    this.#entries.push({ kind: 'directory', name, mtimeNs: clampTimeNs(stat.mtimeNs), mode: mode & 0o777, digest: NO_DIGEST })
  }

  #symlink (name: Name, stat: EntryStat): void {
    try {
      const bytes = this.#directory.linkTarget(name)
      if (bytes === undefined) return
      const target = decode(bytes)
      if (target === undefined || !isSymlinkTarget(target)) this.#tell(name, 'NAME_NOT_UNICODE', 'the text of the symbolic link')
      else if (leadsOutside(this.#directory.path, target)) this.#tell(name, 'SYMLINK_OUTSIDE', `it points to ${JSON.stringify(target)}`)
      else this.#entries.push({ kind: 'symlink', name, mtimeNs: clampTimeNs(stat.mtimeNs), target })
    } catch (error) {
      this.#unreadable(name, error)
    }
  }

  // Left out, it would look deleted: the listing does not tell the whole directory.
  #unreadable (name: string, error: unknown): void {
    if (!isSystemFault(error)) throw error
    this.#complete = false
    this.#tell(name, 'UNREADABLE', faultText(error))
  }

  #tell (name: string, code: ProblemCode, detail?: string): void {
    this.#problemCount++
    if (this.#problems.length < MAX_PROBLEMS_PER_DIRECTORY) this.#problems.push(problem(this.#prefix + name, code, detail))
  }
}

function decode (bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
