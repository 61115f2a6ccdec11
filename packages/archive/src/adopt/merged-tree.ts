import {
  checkJoin, checkName, compareNames, encodeListing, FileSyncError, isProblemCode, isSymlinkTarget, joinPath, problem, readListing,
  ROOT_PATH,
} from '@filesync/protocol'
import type { Digest, Entry, HashBytes, Name, Problem, ProblemList, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { Sync } from '../sync-contract.ts'
import type { FoundEntry } from '../store/content-store.ts'
import type { ExistingCopy } from '../store/existing-copy.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'

/** Listings compared between two pauses. */
const COMPARED_AT_ONCE = 64

export interface MergedTreeInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
  readonly copy: ExistingCopy
  /** Collects what is left out. */
  readonly problems: ProblemList
  readonly signal: AbortSignal | undefined
}

/** The listings of an area, merged with the entries that a copy has in addition. */
export class MergedTree {
  /** Number of entries of the copy that were left out because the area already has an entry at their paths. */
  held: number = 0
  readonly #init: MergedTreeInit
  readonly #listings = new Map<RelativePath, Uint8Array>()

  constructor (init: MergedTreeInit) {
    this.#init = init
  }

  /** Reads a directory of the copy and everything below it. Returns the digest of its merged listing. */
  async add (directory: RelativePath): Promise<Digest> {
    const { index, area, hash, copy, signal } = this.#init
    signal?.throwIfAborted()
    await copy.pause()
    const ours = new Map<string, Entry>()
    for (const entry of readListing(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)) ours.set(entry.name, entry)
    for (const found of this.#list(directory)) {
      const entry = await this.#merge(directory, ours.get(found.name), found)
      if (entry !== undefined) ours.set(entry.name, entry)
    }
    const listing = encodeListing([...ours.values()].sort((a, b) => compareNames(a.name, b.name)))
    this.#listings.set(directory, listing)
    return hash(listing)
  }

  #list (directory: RelativePath): FoundEntry[] {
    try {
      return this.#init.copy.list(directory)
    } catch (error) {
      if (directory === ROOT_PATH || error instanceof FileSyncError) throw error
      this.#init.problems.add(problem(directory, 'UNREADABLE', 'the directory cannot be listed in the copy'))
      return []
    }
  }

  /** Passes all listings that differ from the stored ones to a sync. */
  async passTo (sync: Sync): Promise<void> {
    const due: RelativePath[] = [ROOT_PATH]
    for (let number = 0; number < due.length; number++) {
      const directory = due[number] ?? ROOT_PATH
      const bytes = this.#listings.get(directory)
      if (bytes === undefined) continue
      if (number % COMPARED_AT_ONCE === 0) await this.#init.copy.pause()
      for (const wanted of sync.compare({ number, directory, bytes })) {
        if (wanted?.entry !== undefined) due.push(joinPath(directory, wanted.entry.name))
      }
    }
  }

  async #merge (directory: RelativePath, ours: Entry | undefined, found: FoundEntry): Promise<Entry | undefined> {
    const name = found.name as Name
    const fault = checkName(name) ?? checkJoin(directory, name)
    const path = joinPath(directory, name)
    if (fault !== undefined) return this.#skip(isProblemCode(fault) ? problem(path, fault) : problem(path, 'NAME_RESERVED', fault))
    const { mtimeNs, mode } = found
    if (found.kind === 'directory' && (ours === undefined || ours.kind === 'directory')) {
      const digest = await this.add(path)
      return ours === undefined ? { kind: 'directory', name, mtimeNs, mode, digest } : { ...ours, digest }
    }
    if (ours !== undefined) {
      this.held++
      return undefined
    }
    if (found.kind === 'file') return { kind: 'file', name, mtimeNs, mode, sizeBytes: found.sizeBytes, fileId: 0n }
    if (found.kind === 'symlink' && isSymlinkTarget(found.target)) return { kind: 'symlink', name, mtimeNs, target: found.target }
    return this.#skip(problem(path, 'SPECIAL_FILE'))
  }

  #skip (why: Problem): undefined {
    this.#init.problems.add(why)
  }
}
