import { DIGEST_BYTES, equalDigests, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { CopyFinding } from './safe-check.ts'
import type {
  ContentStore, DirectoryState, ExpectedEntry, RestoredFile, RestoredSection, RestoreFailure, RestoreOutcome, RestoreRequest,
} from '../store/content-store.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { knownPaths } from '../store/lookup.ts'
import { filesOf, restoredFile } from '../store/restored-section.ts'
import { stateAt } from '../history/past-state.ts'
import type { PastMoment, PastState } from '../history/past-state.ts'
import type { PackedPart, PastEntry } from '../history/packed-state.ts'
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
  for (const portion of portions(state, names)) {
    const { failures, ...done } = await store.restore(area, { ...portion, ...target })
    files += done.files
    bytes += done.bytes
    const mismatches = failures.filter(failure => failure.mismatch !== undefined)
    problems.push(...failures.filter(({ mismatch: why }) => why === undefined))
    if (mismatches.length === 0) continue
    // If the disk is gone, nothing can be read, which does not mean that the files are damaged.
    await store.ensurePresent('disk')
    for (const failure of mismatches) {
      const entry = state.files.find(failure.path as RelativePath)
      if (entry === undefined) continue
      const { expected, ...file } = fileOf(entry, names)
      if (expected?.kind === 'file') await repair.restore(failure, { ...file, expected })
    }
    // Files written since changed the mtimes of their directories.
    await store.restore(area, { files: [], directories: portion.directories, ...target })
  }
  return {
    files: files + repair.files,
    bytes: bytes + repair.bytes,
    failures: [...problems, ...repair.failures],
    findings: repair.findings,
  }
}

/** What is restored at once. */
type Portion = Pick<RestoreRequest, 'files' | 'directories'> & { readonly sections: readonly RestoredSection[] }

type SharedNames = ReadonlyMap<RelativePath, RelativePath>

/**
 * A state in portions. Each has the directories above its files too, because their restored modes may forbid writing by now, and writing
 * changes their times.
 */
function * portions ({ files, directories }: PastState, names: SharedNames): Generator<Portion, void, undefined> {
  let [sections, single, count]: [RestoredSection[], RestoredFile[], number] = [[], [], 0]
  const needed = new Map<RelativePath, DirectoryState>()
  const need = (directory: RelativePath): void => {
    for (let at = directory; at !== ROOT_PATH && !needed.has(at); at = splitPath(at).directory) {
      const state = directories.get(at)
      if (state !== undefined) needed.set(at, state)
    }
  }
  const take = (): Portion => {
    const portion: Portion = { sections, files: single, directories: [...needed.values()] };
    [sections, single, count] = [[], [], 0]
    needed.clear()
    return portion
  }
  for (const directory of new Set([ROOT_PATH, ...[...directories.keys()].sort()])) {
    need(directory)
    for (const part of files.parts(directory)) {
      if (count > 0 && count + part.digests.length / DIGEST_BYTES > AT_ONCE) yield take()
      need(directory)
      const { section, others } = withoutNames({ directory, ...part }, names)
      sections.push(section)
      single.push(...others)
      count += part.digests.length / DIGEST_BYTES
      if (count >= AT_ONCE) yield take()
    }
    const unlisted = files.unlisted(directory)
    if (unlisted.length > 0) need(directory)
    for (const entry of unlisted) single.push(fileOf(entry, names))
    count += unlisted.length
    if (count >= AT_ONCE || needed.size >= AT_ONCE) yield take()
  }
  if (count + needed.size > 0) yield take()
}

/** Takes the files that are further names of others out of a section. */
function withoutNames (
  { directory, listing, digests, folders }: PackedPart & { readonly directory: RelativePath }, names: SharedNames,
): { readonly section: RestoredSection, readonly others: RestoredFile[] } {
  const section = { directory, listing, digests, ...(folders !== undefined && { folders }) }
  if (names.size === 0) return { section, others: [] }
  const others: RestoredFile[] = []
  const kept = new ListingBuilder()
  const places: number[] = []
  let at = 0
  const cursor = new ListingCursor(listing)
  for (const file of filesOf(section)) {
    cursor.next()
    const nameOf = names.get(file.path)
    if (nameOf !== undefined) others.push({ ...file, nameOf })
    else {
      kept.add(listing.subarray(cursor.start, cursor.end))
      places.push(at)
    }
    at++
  }
  if (others.length === 0) return { section, others }
  const left = new Uint8Array(places.length * DIGEST_BYTES)
  places.forEach((place, i) => { left.set(digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES), i * DIGEST_BYTES) })
  const keptFolders = folders && places.map(place => folders[place])
  return { section: { directory, listing: kept.finish(), digests: left, ...(keptFolders && { folders: keptFolders }) }, others }
}

/** A file to restore. */
function fileOf (entry: PastEntry, names: SharedNames): RestoredFile {
  const nameOf = names.get(entry.path)
  return { ...restoredFile(entry.path, entry), ...(nameOf !== undefined && { nameOf }) }
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
        moved.files.close()
        if (again !== undefined && await this.#try({ ...restoredFile(path, again), ...named })) return
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
