import * as fs from 'node:fs'
import { equalDigests, errnoOf, FileSyncError, joinPath, problem, readPack } from '@filesync/protocol'
import type {
  Digest, FileDigest, FileEntry, Problem, RelativePath, ReuseBuffer, StagedFile, StageOutcome, StagingArea,
} from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ArrivingFile } from './arriving-file.ts'
import type { EntryPlace, KnownListings } from './known-listings.ts'
import { digestOfSize } from './read-local.ts'
import type { RestoreState, Restored } from './restore-state.ts'
import { targetError } from './restore-target.ts'
import type { SharedFiles } from './shared-files.ts'
import {
  describeFault, finishFile, finishFileAt, moveInPlace, openForReading, openForWriting, removeAt, statAt, tryLink,
} from './target-place.ts'
import type { Place } from './target-place.ts'

/** What a task is for: to get a file, to compare one that is there, or to prove that a name is a hard link of another. */
export type TaskPurpose = 'get' | 'compare' | 'link'

export interface AskedFile extends EntryPlace {
  readonly purpose: TaskPurpose
}

/** A file that has to be asked for again, and what is reported if that does not help either. */
export interface Again {
  readonly place: EntryPlace
  readonly problem: Problem
}

/** Puts the files of one round of tasks in their places: each as a whole, with its mode and time, and only if its digest is right. */
export class RestoreFiles implements StagingArea {
  readonly #state: RestoreState
  readonly #known: KnownListings
  readonly #shared: SharedFiles
  readonly #asked: AskedFile[] = []
  /** Files to ask for whole in the next round. */
  readonly again: Again[] = []

  constructor (init: { readonly state: RestoreState, readonly known: KnownListings, readonly shared: SharedFiles }) {
    this.#state = init.state
    this.#known = init.known
    this.#shared = init.shared
  }

  /** Notes what the next task is for. */
  ask (asked: AskedFile): void {
    this.#asked.push(asked)
  }

  describe (task: number): { readonly path: RelativePath, readonly sizeBytes: number } {
    const { path, entry } = this.#at(task)
    return { path, sizeBytes: entry.sizeBytes }
  }

  /** The server answered a task with a problem. Another copy may be whole, so a damaged file is asked for once more. */
  refused (task: number, found: Problem): void {
    const { place, purpose } = this.#at(task)
    if (found.code === 'DAMAGED' || purpose !== 'get') this.again.push({ place, problem: found })
    else this.#state.problems.add(found)
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<readonly StageOutcome[]> {
    const outcomes: StageOutcome[] = []
    for (const { task, digest, content } of readPack(pack)) {
      const { path } = this.#at(task)
      if (!equalDigests(hashBytes(content), digest)) outcomes.push(this.#mismatch(task))
      else outcomes.push(this.#writing(task, path, () => this.#writeSmall(task, content, digest)))
    }
    reuse?.(pack.buffer)
    return outcomes
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    const outcomes: StageOutcome[] = []
    for (const { task, digest } of files) {
      const asked = this.#at(task)
      const isSame = asked.purpose === 'link' ? this.#linked(asked, digest) : await this.#compared(asked, digest)
      outcomes.push(isSame ? { task, bytes: asked.entry.sizeBytes } : { task, bytes: 0, isWantedAgain: true })
    }
    return outcomes
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    const { path, entry, purpose } = this.#at(task)
    if (purpose !== 'get') return this.#comparison(task)
    const partial = (): Place => this.#state.target.partial(path, entry)
    try {
      return await ArrivingFile.open({
        place: partial, offset, hasher: createHasher(),
        onError: error => { throw this.#orTargetError(error) ?? error },
        onWhole: (fd, digest) => this.#writing(task, path, () => this.#finish(task, { fd, digest })),
        onMismatch: () => this.#mismatch(task),
      })
    } catch (error) {
      throw this.#orTargetError(error) ?? new FileSyncError('TARGET_UNAVAILABLE',
        `A file cannot be written in ${this.#state.target.root} (${errnoOf(error)}).`, { cause: error })
    }
  }

  #at (task: number): Asked {
    const asked = this.#asked[task]
    if (asked === undefined) throw new FileSyncError('INTERNAL', 'A file arrived that was not asked for.')
    const entry = this.#known.file(asked)
    const directory = this.#known.directoryOf(asked.listing)
    return { purpose: asked.purpose, place: asked, directory, entry, path: joinPath(directory, entry.name) }
  }

  #writeSmall (task: number, content: Uint8Array, digest: Digest): StageOutcome {
    const temporary = this.#state.target.temporary()
    const fd = openForWriting(temporary, 'new')
    try {
      for (let at = 0; at < content.length;) at += fs.writeSync(fd, content, at, content.length - at)
      finishFile(fd, this.#at(task).entry)
    } catch (error) {
      removeAt(temporary)
      throw error
    } finally {
      fs.closeSync(fd)
    }
    return this.#place(task, temporary, digest)
  }

  #finish (task: number, { fd, digest }: { readonly fd: number, readonly digest: Digest }): StageOutcome {
    const { path, entry } = this.#at(task)
    fs.fsyncSync(fd)
    finishFile(fd, entry)
    return this.#place(task, this.#state.target.partial(path, entry), digest)
  }

  #place (task: number, from: Place, digest: Digest): StageOutcome {
    const asked = this.#at(task)
    const { target } = this.#state
    if (!moveInPlace(from, target.placeOf(asked.path), target.overwrite)) {
      removeAt(from)
      return { task, bytes: 0, problem: this.#note(problem(asked.path, 'PATH_TAKEN')) }
    }
    this.#done(asked, digest, 'arrived')
    return { task, bytes: asked.entry.sizeBytes }
  }

  #done ({ directory, path, entry, place }: Asked, digest: Digest, how: Restored): void {
    const group = this.#shared.groupOf(directory, entry)
    if (group !== undefined && group.first.listing === place.listing && group.first.entry === place.entry) {
      group.digest = digest
      this.#state.sharedDigests.set(path, digest)
    }
    this.#state.done(directory, place.entry, { sizeBytes: entry.sizeBytes, how })
  }

  /** Whether what is there is the file; if so it is done. */
  async #compared (asked: Asked, digest: Digest): Promise<boolean> {
    const { target } = this.#state
    const isSame = await hasContent(() => target.placeOf(asked.path), asked.entry.sizeBytes, digest)
    if (isSame) {
      // A file that is there already gets its mode and time too.
      if (target.overwrite) this.#writing(undefined, asked.path, () => { finishFileAt(target.placeOf(asked.path), asked.entry) })
      this.#done(asked, digest, 'present')
    } else if (target.overwrite) this.again.push({ place: asked.place, problem: problem(asked.path, 'PATH_TAKEN') })
    else this.#note(problem(asked.path, 'PATH_TAKEN'))
    return isSame
  }

  /** Makes a name a hard link of the one that is in place, if their content is the same. */
  #linked (asked: Asked, digest: Digest): boolean {
    const group = this.#shared.groupOf(asked.directory, asked.entry)
    const isSame = group?.digest !== undefined && equalDigests(group.digest, digest)
    if (isSame) {
      const first = joinPath(this.#known.directoryOf(group.first.listing), this.#known.file(group.first).name)
      if (this.#isLinkMade(first, asked.path)) {
        this.#done(asked, digest, 'linked')
        return true
      }
    }
    this.again.push({ place: asked.place, problem: problem(asked.path, 'PATH_TAKEN') })
    return false
  }

  #isLinkMade (first: RelativePath, path: RelativePath): boolean {
    const { target } = this.#state
    try {
      const place = target.placeOf(path)
      if (target.overwrite && statAt(place)?.isFile() === true) removeAt(place)
      return statAt(place) === undefined && tryLink(target.placeOf(first), place)
    } catch (error) {
      const ofTarget = this.#orTargetError(error)
      if (ofTarget !== undefined) throw ofTarget
      if (errnoOf(error) === '') throw error
      // As a copy, it is written again, or fails with a reason of its own.
      return false
    }
  }

  /** A digest that comes with FILE_HEADER and FILE_END. */
  #comparison (task: number): StagedFile {
    const unexpected = async (): Promise<never> => { throw new FileSyncError('DATA_UNEXPECTED', 'Data came where a digest was asked for.') }
    return {
      write: unexpected,
      hole: unexpected,
      copy: unexpected,
      finish: async digest => {
        const [outcome] = await this.compareDigests([{ task, digest }])
        return outcome ?? { task, bytes: 0 }
      },
      abandon: async () => { /* nothing was written */ },
    }
  }

  #mismatch (task: number): StageOutcome {
    const { path, place } = this.#at(task)
    const found = problem(path, 'DIGEST_MISMATCH')
    this.again.push({ place, problem: found })
    return { task, bytes: 0, isWantedAgain: true }
  }

  #writing<T> (task: number | undefined, path: RelativePath, work: () => T): T | StageOutcome {
    try {
      return work()
    } catch (error) {
      const ofTarget = this.#orTargetError(error)
      if (ofTarget !== undefined) throw ofTarget
      if (errnoOf(error) === '') throw error
      return { task: task ?? 0, bytes: 0, problem: this.#note(problem(path, 'WRITE_FAILED', describeFault(error))) }
    }
  }

  #note (found: Problem): Problem {
    this.#state.problems.add(found)
    return found
  }

  #orTargetError (error: unknown): FileSyncError | undefined {
    return error instanceof FileSyncError ? error : targetError(error, this.#state.target.root)
  }
}

interface Asked {
  readonly purpose: TaskPurpose
  readonly place: EntryPlace
  readonly directory: RelativePath
  readonly entry: FileEntry
  readonly path: RelativePath
}

async function hasContent (place: () => Place, sizeBytes: number, digest: Digest): Promise<boolean> {
  try {
    const fd = openForReading(place())
    if (fd === undefined) return false
    try {
      const found = await digestOfSize(fd, sizeBytes)
      return found !== undefined && equalDigests(found, digest)
    } finally {
      fs.closeSync(fd)
    }
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return false
  }
}
