import { equalDigests, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { RestoreOptions } from '../archive.ts'
import type { CopyFinding } from './safe-check.ts'
import type { ContentStore, DirectoryState, KeptEntry, ExpectedEntry, RestoredFile, RestoreFailure, RestoreOutcome, RestoreRequest } from '../store/content-store.ts'
import { knownFiles, knownPaths } from '../store/lookup.ts'
import { stateAt } from '../history/past-state.ts'
import type { PastEntry, PastState, PastStateSource } from '../history/past-state.ts'
import type { Position } from '../store/position.ts'
import { isUnknown } from '../store/unknown-entry.ts'

export interface RestoreSource extends PastStateSource {
  readonly store: ContentStore
}

/** What was brought back, and damage that only this showed. */
export interface RestoredState extends RestoreOutcome {
  readonly findings: readonly CopyFinding[]
  /** The moment, in the history of the area. */
  readonly at: Position
}

/** Versions of the size of a damaged file that are read in search of its content. */
const CANDIDATES = 64
/** Behind the name of what is left of a damaged file. */
const DAMAGED_SUFFIX = '.damaged'
const LOST = 'its content in the archive is not what was stored'
const GONE = 'it is missing from the archive or cannot be read there'
const NO_OTHER = 'and there is no other copy of it'

const EXPIRED = 'versions of that time have expired: files that left the mirror before the oldest kept version are not restored'
const UNFINISHED_SYNC: RestoreFailure = {
  path: '.',
  message: 'the last sync did not finish, and the archive is read-only: files that it was storing may be missing or newer than requested',
}

type Target = Pick<RestoreRequest, 'to' | 'overwrite'>

/**
 * Brings back what stood at a path and below it at a moment. Files of which the digest is known are proven by it. One that is
 * damaged is taken from another copy of the same content, under whatever path; where there is none it is a failure, and what is
 * left of it is written beside its place. Undefined where there was nothing.
 */
export async function restoreState (source: RestoreSource, { path, atMs, ...target }: RestoreOptions): Promise<RestoredState | undefined> {
  const state = await stateAt(source, path, atMs)
  const { at, directories } = state
  if (state.files.length + directories.length === 0) return undefined
  const files = state.files.map(expectedFile)
  const { store, area } = source
  const outcome = await store.restore(area, { files, directories, ...target })
  const unproven = outcome.failures.filter(failure => failure.mismatch !== undefined)
  if (unproven.length === 0) return { ...outcome, findings: [], at }
  // On a disk that is gone nothing can be read, which says nothing of the files.
  await store.ensurePresent('disk')
  const wanted = new Map(files.map(file => [file.path as string, file]))
  const repair = new Repair(source, { ...target, atMs, state })
  for (const failure of unproven) {
    const file = wanted.get(failure.path)
    if (file?.expected?.kind === 'file') await repair.bring(failure, { ...file, expected: file.expected })
  }
  // What was written since changed the times of its directories.
  await store.restore(area, { files: [], directories, ...target })
  return {
    files: outcome.files + repair.files,
    bytes: outcome.bytes + repair.bytes,
    failures: [...outcome.failures.filter(({ mismatch: why }) => why === undefined), ...repair.failures],
    findings: repair.findings,
    at,
  }
}

/** Reasons why a restored state may be incomplete or inexact. */
export function doubtsAbout ({ index, area, store }: RestoreSource, path: RelativePath, at: Position): RestoreFailure[] {
  const { history, open = false } = index.area(area) ?? {}
  const doubts: RestoreFailure[] = []
  if (at.count > 0 && at.count <= (history?.droppedCount ?? 0)) doubts.push({ path, message: EXPIRED })
  // Only writing to the archive could complete the sync.
  if (store.traits.isReadOnly === true && open) doubts.push(UNFINISHED_SYNC)
  return doubts
}

type ExpectedFile = RestoredFile & { readonly expected: Extract<ExpectedEntry, { kind: 'file' }> }

/** What a file or link has to be, if it is known. */
function expectedFile ({ path, folder, entry, fact }: PastEntry): RestoredFile {
  const unproven = { path, folder }
  if (entry?.kind === 'symlink') return { ...unproven, expected: { kind: 'symlink', target: entry.target, mtimeNs: entry.mtimeNs } }
  if (entry?.kind !== 'file' || fact === undefined) return unproven
  const { sizeBytes, mtimeNs, mode } = entry
  return { ...unproven, expected: { kind: 'file', digest: fact.digest, sizeBytes, mtimeNs, mode } }
}

/** Where files go, and what is brought back with them. */
interface Mission extends Target {
  readonly atMs: number
  readonly state: PastState
}

/** Finds for single files what the store does not have in their places. */
class Repair {
  files = 0
  bytes = 0
  readonly failures: RestoreFailure[] = []
  readonly findings: CopyFinding[] = []
  readonly #source: RestoreSource
  readonly #mission: Mission

  constructor (source: RestoreSource, mission: Mission) {
    this.#source = source
    this.#mission = mission
  }

  async bring (failure: RestoreFailure, file: ExpectedFile): Promise<void> {
    const { index, area } = this.#source
    const { path, folder, expected } = file
    const { atMs, state } = this.#mission
    if (folder === undefined && !state.damaged.has(path)) {
      const [now] = knownPaths(index, area, [path])
      if (now === undefined || isUnknown(now.entry) || !equalDigests(now.fact.digest, expected.digest)) {
        // A sync or a look at the mirror came in between: what was asked for stands elsewhere now.
        const moved = await stateAt(this.#source, path, atMs)
        const again = moved.files.map(expectedFile).find(other => other.path === path)
        if (again !== undefined && await this.#try(again)) return
      } else {
        this.findings.push({ path, fact: now.fact, what: failure.mismatch === 'absent' ? 'missing' : 'damaged' })
      }
    }
    for await (const copy of this.#copiesOf(file)) if (await this.#try(copy)) return
    await this.#leave(failure, file)
  }

  async #try (file: RestoredFile): Promise<boolean> {
    const { store, area } = this.#source
    const { files, bytes, failures } = await store.restore(area, this.#requestOf(file))
    const [failure] = failures
    if (failure?.mismatch !== undefined) return false
    // Something stands in its place: the copy was good, so there is nothing else to try.
    if (failure !== undefined) this.failures.push(failure)
    this.files += files
    this.bytes += bytes
    return true
  }

  /** Where else its content may be: files of the mirror with the same digest, then versions of its size, those of its own path first. */
  async * #copiesOf ({ path, expected }: ExpectedFile): AsyncGenerator<RestoredFile, void, undefined> {
    const { index, area, store } = this.#source
    for (const from of pathsOf(index, area, expected.digest)) yield { path, from, folder: undefined, expected }
    const versions = (await store.versions(area, ROOT_PATH)).filter(({ found: { kind, sizeBytes } }) => kind === 'file' && sizeBytes === expected.sizeBytes)
    const rank = (version: KeptEntry): number => Number(version.path !== path) * 2 + Number(version.found.mtimeNs !== expected.mtimeNs)
    for (const version of versions.sort((a, b) => rank(a) - rank(b)).slice(0, CANDIDATES)) yield { path, from: version.path, folder: version.folder, expected }
  }

  /** With the directories that it lies in, which may have modes by now that let nobody write. */
  #requestOf (file: RestoredFile): RestoreRequest {
    const { to, overwrite, state } = this.#mission
    const directories: DirectoryState[] = state.directories.filter(({ directory }) => file.path.startsWith(`${directory}/`))
    return { files: [file], directories, to, ...(overwrite !== undefined && { overwrite }) }
  }

  /** Names what cannot be brought back, and writes what is left of it beside. */
  async #leave ({ path, mismatch }: RestoreFailure, file: ExpectedFile): Promise<void> {
    if (mismatch !== 'other') {
      this.failures.push({ path, message: `${GONE}, ${NO_OTHER}` })
      return
    }
    const { store, area } = this.#source
    const { directory, name } = splitPath(file.path)
    const damagedName = `${name}${DAMAGED_SUFFIX}` as Name
    const left: RestoredFile = { path: joinPath(directory, damagedName), from: file.path, folder: file.folder }
    const { failures: [failure] } = await store.restore(area, this.#requestOf(left))
    const beside = failure === undefined ? `what is left of it is in ${JSON.stringify(damagedName)} beside it` : `what is left of it cannot be written to ${JSON.stringify(damagedName)}: ${failure.message}`
    this.failures.push({ path, message: `${LOST}, ${NO_OTHER}; ${beside}` })
  }
}

/** Paths of the mirror under which the index knows a content. */
function * pathsOf (index: ArchiveIndex, area: string, digest: Digest): Generator<RelativePath, void, undefined> {
  for (const { directory, files } of [...index.directories(area)]) {
    if (files === 0) continue
    for (const file of knownFiles(index, area, directory)) if (!isUnknown(file.entry) && equalDigests(file.fact.digest, digest)) yield file.path
  }
}
