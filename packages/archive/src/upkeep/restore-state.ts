import { equalDigests, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { CopyFinding } from './safe-check.ts'
import type {
  ContentStore, DirectoryState, ExpectedEntry, RestoredFile, RestoreFailure, RestoreOutcome, RestoreRequest,
} from '../store/content-store.ts'
import { knownPaths } from '../store/lookup.ts'
import { stateAt } from '../history/past-state.ts'
import type { PastMoment, PastState } from '../history/past-state.ts'
import type { PastEntry } from '../history/packed-state.ts'
import { above } from '../history/past-walk.ts'
import type { PastStateSource } from '../history/past-walk.ts'
import type { Position } from '../store/position.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { OtherCopies } from './other-copies.ts'
import { sharedNames } from './shared-names.ts'

export interface RestoreSource extends PastStateSource {
  readonly store: ContentStore
}

/** The outcome of a restore, and damage that it found. */
export interface RestoredState extends RestoreOutcome {
  readonly findings: readonly CopyFinding[]
}

/** Files and directories that are restored at once. */
const AT_ONCE = 4096
/** Appended to the name of what is left of a damaged file. */
const DAMAGED_SUFFIX = '.damaged'
const DAMAGED = 'its content in the archive no longer matches its digest'
const MISSING = 'it is missing from the archive or cannot be read there'
const VERSION_EXPIRED = 'its version of that time has expired: after a day, only the first and the last version of each day are kept'
const NO_OTHER_COPY = 'and there is no other copy of it'

const EXPIRED = 'versions of that time have expired: files that left the mirror before the oldest kept version are not restored'
const UNFINISHED_SYNC: RestoreFailure = {
  path: '.',
  message: 'the last sync did not finish, and the archive is read-only: files that it was storing may be missing or newer than requested',
}

type Target = Pick<RestoreRequest, 'to' | 'overwrite'>

/** What to restore, and where to. */
export interface RestoreWanted extends Target {
  readonly path: RelativePath
  readonly moment: PastMoment
  /** The state at that moment. */
  readonly state: PastState
}

/**
 * Restores the state of a path at a moment. Files whose digest is known are verified. A damaged file is restored from another copy of
 * the same content, at any path. If there is none, it is a failure, and what is left of it is written next to its place.
 */
export async function restoreState (source: RestoreSource, request: RestoreWanted): Promise<RestoredState> {
  const { moment, state, to, overwrite } = request
  const target = { to, ...(overwrite !== undefined && { overwrite }) }
  const names = sharedNames(state.files)
  const { store, area } = source
  const repair = new Repair(source, { ...target, moment, state })
  const problems: RestoreFailure[] = []
  let [files, bytes] = [0, 0]
  for (const { entries, directories } of portions(state)) {
    const portion = entries.map((entry): RestoredFile => {
      const nameOf = names.get(entry.path)
      return { ...expectedFile(entry), ...(nameOf !== undefined && { nameOf }) }
    })
    const { failures, ...done } = await store.restore(area, { files: portion, directories, ...target })
    files += done.files
    bytes += done.bytes
    const mismatches = failures.filter(failure => failure.mismatch !== undefined)
    problems.push(...failures.filter(({ mismatch: why }) => why === undefined))
    if (mismatches.length === 0) continue
    // If the disk is gone, nothing can be read, which does not mean that the files are damaged.
    await store.ensurePresent('disk')
    const wanted = new Map(portion.map(file => [file.path as string, file]))
    for (const failure of mismatches) {
      const file = wanted.get(failure.path)
      if (file?.expected?.kind === 'file') await repair.restore(failure, { ...file, expected: file.expected })
    }
    // Files written since changed the mtimes of their directories.
    await store.restore(area, { files: [], directories, ...target })
  }
  return {
    files: files + repair.files,
    bytes: bytes + repair.bytes,
    failures: [...problems, ...repair.failures],
    findings: repair.findings,
  }
}

/** Files that are restored at once, and the directories that they need. */
interface Portion {
  readonly entries: readonly PastEntry[]
  readonly directories: readonly DirectoryState[]
}

/**
 * A state in portions. Each has the directories above its files too, because their restored modes may forbid writing by now, and writing
 * changes their times.
 */
function * portions ({ files, directories }: PastState): Generator<Portion, void, undefined> {
  let entries: PastEntry[] = []
  const needed = new Map<RelativePath, DirectoryState>()
  const need = (directory: RelativePath): void => {
    for (let at = directory; at !== ROOT_PATH && !needed.has(at); at = splitPath(at).directory) {
      const state = directories.get(at)
      if (state !== undefined) needed.set(at, state)
    }
  }
  for (const directory of new Set([ROOT_PATH, ...[...directories.keys()].sort()])) {
    need(directory)
    for (const entry of files.in(directory)) {
      need(directory)
      entries.push(entry)
      if (entries.length < AT_ONCE) continue
      yield { entries, directories: [...needed.values()] }
      entries = []
      needed.clear()
    }
    if (needed.size < AT_ONCE) continue
    yield { entries, directories: [...needed.values()] }
    entries = []
    needed.clear()
  }
  if (entries.length + needed.size > 0) yield { entries, directories: [...needed.values()] }
}

/** Reasons why a restored state may be incomplete or inexact. */
export function doubtsAbout ({ index, area, store }: RestoreSource, path: RelativePath, at: Position): RestoreFailure[] {
  const { history, open = false } = index.area(area) ?? {}
  const doubts: RestoreFailure[] = []
  // The state after a whole sync does not need the history of that sync.
  const firstNeeded = at.ms === Infinity ? at.count + 1 : at.count
  if (at.count > 0 && firstNeeded <= (history?.droppedCount ?? 0)) doubts.push({ path, message: EXPIRED })
  // Only writing to the archive could complete the sync.
  if (store.traits.isReadOnly === true && open) doubts.push(UNFINISHED_SYNC)
  return doubts
}

type ExpectedFile = RestoredFile & { readonly expected: Extract<ExpectedEntry, { kind: 'file' }> }

/** A file to restore, with what it must be if that is known. */
function expectedFile ({ path, folder, entry, digest }: PastEntry): RestoredFile {
  const place = { path, folder }
  if (entry?.kind === 'symlink') return { ...place, expected: { kind: 'symlink', target: entry.target, mtimeNs: entry.mtimeNs } }
  if (entry?.kind !== 'file' || digest === undefined) return place
  const { sizeBytes, mtimeNs, mode } = entry
  return { ...place, expected: { kind: 'file', digest, sizeBytes, mtimeNs, mode } }
}

/** Where files are restored to, and the state that they belong to. */
interface RepairContext extends Target {
  readonly moment: PastMoment
  readonly state: PastState
}

/** Restores single files whose content is not at its place in the store. */
class Repair {
  files = 0
  bytes = 0
  readonly failures: RestoreFailure[] = []
  readonly findings: CopyFinding[] = []
  readonly #source: RestoreSource
  readonly #context: RepairContext
  readonly #copies: OtherCopies

  constructor (source: RestoreSource, context: RepairContext) {
    this.#source = source
    this.#context = context
    this.#copies = new OtherCopies(source)
  }

  async restore (failure: RestoreFailure, file: ExpectedFile): Promise<void> {
    const { index, area } = this.#source
    const { path, folder, expected, nameOf } = file
    const named = nameOf === undefined ? {} : { nameOf }
    const { moment, state } = this.#context
    if (folder === undefined && !state.damaged.has(path)) {
      const [now] = knownPaths(index, area, [path])
      if (now === undefined || isUnknown(now.entry) || !equalDigests(now.fact.digest, expected.digest)) {
        // A sync or a check of the mirror came in between, so the content is elsewhere now.
        const moved = await stateAt(this.#source, path, moment)
        const again = moved.files.find(path)
        if (again !== undefined && await this.#try({ ...expectedFile(again), ...named })) return
      } else {
        this.findings.push({ path, fact: now.fact, what: failure.mismatch === 'absent' ? 'missing' : 'damaged' })
      }
    }
    for await (const place of this.#copies.of({ path, ...expected })) {
      if (await this.#try({ path, ...place, expected, ...named })) return
    }
    await this.#saveDamaged(failure, file)
  }

  async #try (file: RestoredFile): Promise<boolean> {
    const { store, area } = this.#source
    const { files, bytes, failures } = await store.restore(area, this.#requestOf(file))
    const [failure] = failures
    if (failure?.mismatch !== undefined) return false
    // The copy is good but its path is taken, so no other copy needs to be tried.
    if (failure !== undefined) this.failures.push(failure)
    this.files += files
    this.bytes += bytes
    return true
  }

  /** Includes the parent directories, because their restored modes may forbid writing by now. */
  #requestOf (file: RestoredFile): RestoreRequest {
    const { to, overwrite, state } = this.#context
    const directories: DirectoryState[] = above(file.path).flatMap(directory => state.directories.get(directory) ?? [])
    return { files: [file], directories, to, ...(overwrite !== undefined && { overwrite }) }
  }

  /** Reports a file that cannot be restored, and writes what is left of it next to its place. */
  async #saveDamaged ({ path, mismatch }: RestoreFailure, file: ExpectedFile): Promise<void> {
    if (mismatch !== 'other') {
      const isExpired = file.folder !== undefined && !await this.#copies.isKept(file.path, file.folder)
      this.failures.push({ path, message: `${isExpired ? VERSION_EXPIRED : MISSING}, ${NO_OTHER_COPY}` })
      return
    }
    const { store, area } = this.#source
    const { directory, name } = splitPath(file.path)
    const damagedName = `${name}${DAMAGED_SUFFIX}` as Name
    const left: RestoredFile = { path: joinPath(directory, damagedName), from: file.path, folder: file.folder }
    const { failures: [failure] } = await store.restore(area, this.#requestOf(left))
    const saved = failure === undefined
      ? `what is left of it was written to ${JSON.stringify(damagedName)} next to it`
      : `what is left of it could not be written to ${JSON.stringify(damagedName)}: ${failure.message}`
    this.failures.push({ path, message: `${DAMAGED}, ${NO_OTHER_COPY}; ${saved}` })
  }
}
