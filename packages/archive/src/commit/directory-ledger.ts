import { equalDigests, joinPath, listingDigest, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ComparedDirectories } from '../compare/compared-directories.ts'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import { structureOf } from '../compare/cut-section.ts'
import type { DirectoryState } from '../store/content-store.ts'
import { EMPTY_DIRECTORY, foldDirectory, patchDigests } from '../store/fold.ts'
import { directoriesOf } from '../store/lookup.ts'
import type { Plan } from '../compare/plan.ts'
import { countAnswers, SAME_CONTENT } from '../store/section.ts'
import type { Removal, Section } from '../store/section.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** What happened in one directory beyond its structure. */
interface Account {
  readonly sections: Section[]
  removed: Set<string> | undefined
  /** Numbers of the journal entries that it needs. */
  readonly journals: Set<number>
}

/** Nothing happened in a directory. */
const UNTOUCHED = 0
/** Something was placed in it, or left it. */
const TOUCHED = 1
/** Its structure was placed as a whole, and need not be kept: it can be cut again. */
const STRUCTURED = 2
/** A part of its structure was placed. */
const PARTLY_STRUCTURED = 4
/** Its listing was written. */
const FOLDED = 8
/** Directories that are written in one transaction, or get their times in one call: a million at once would block the thread for long. */
const DIRECTORIES_AT_ONCE = 2048
const NO_NAMES: ReadonlySet<string> = new Set()

export interface LedgerInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly hash: HashBytes
  /** Each directory before those inside it. */
  readonly directories: ComparedDirectories
}

/**
 * Collects what was placed in each directory, and turns it into index writes. Writes a directory's listing once, when nothing more can
 * happen in it, so that a directory of a million files is not written with every batch. Until then the journal entries that the
 * directory needs are kept, from which its listing can be written after a crash.
 */
export class DirectoryLedger {
  readonly #init: LedgerInit
  // By the number of the directory. There may be a million, so most have nothing but these numbers.
  readonly #states: Uint8Array
  /** Tasks that have not ended, and one for the structure. */
  readonly #pending: Int32Array
  /** The number of the journal entry with the structure. */
  readonly #structures: Uint32Array
  readonly #accounts = new Map<number, Account>()
  readonly #leaving: ReadonlySet<RelativePath>
  /** Digests of directories that were written and differ from what the client listed. */
  readonly #deviating = new Map<RelativePath, Digest>()
  /** By journal number, how many directories still need the entry. */
  readonly #journals = new Map<number, number>()
  readonly #ready: number[] = []

  constructor (init: LedgerInit, plan: Pick<Plan, 'removals' | 'forgotten'>) {
    this.#init = init
    const { directories } = init
    this.#states = new Uint8Array(directories.length)
    this.#structures = new Uint32Array(directories.length)
    this.#pending = new Int32Array(directories.length)
    for (let owner = 0; owner < directories.length; owner++) {
      this.#pending[owner] = directories.wantedCounts.at(owner) + Number(directories.structureCounts.at(owner) > 0)
    }
    this.#leaving = new Set([...plan.removals, ...plan.forgotten].map(removal => removal.directory))
  }

  /** A batch was placed; `placed` is the part of it that succeeded. */
  addPlaced (journal: number, batch: readonly Section[], placed: readonly Section[]): void {
    for (const section of placed) {
      const owner = this.#owner(section.directory)
      if (isStructure(section) && section.staged.length === this.#init.directories.structureCounts.at(owner)) {
        this.#structures[owner] = journal
        this.#hold(journal)
        this.#mark(owner, STRUCTURED)
        continue
      }
      if (isStructure(section)) this.#mark(owner, PARTLY_STRUCTURED)
      const account = this.#account(owner)
      account.sections.push(section)
      this.#bind(account, journal)
    }
    for (const section of batch) {
      this.endTasks(section.directory, Math.max(1, countAnswers(section)))
    }
  }

  /** Tasks of a directory have ended, successfully or not. */
  endTasks (directory: RelativePath, count: number): void {
    const owner = this.#owner(directory)
    this.#mark(owner, TOUCHED)
    const pending = (this.#pending[owner] ?? 0) - count
    this.#pending[owner] = pending
    if (pending === 0 && !this.#leaving.has(directory)) this.#ready.push(owner)
  }

  /**
   * Names left a directory.
   *
   * @param journal undefined if they leave only the index
   */
  addRemoved (journal: number | undefined, removals: readonly Removal[]): void {
    for (const { directory, names } of removals) {
      const account = this.#account(this.#owner(directory))
      account.removed ??= new Set()
      for (const name of names) account.removed.add(name)
      if (journal !== undefined) this.#bind(account, journal)
    }
  }

  /** Writes for directories in which nothing more can happen. */
  takeReady (): IndexWrite[] {
    return this.#ready.splice(0).flatMap(owner => this.#fold(owner))
  }

  /**
   * Writes for the remaining directories, and for those that hold the digest of a directory that did not become as listed, in groups. A
   * directory comes after all that are inside it: the digests are consistent only after the last group.
   */
  * takeRest (): Generator<IndexWrite[], void, undefined> {
    const { directories } = this.#init
    let writes: IndexWrite[] = []
    const patches = new Map<RelativePath, Map<Name, Digest>>()
    for (let owner = directories.length - 1; owner >= 0; owner--) {
      if (!this.#isTouched(owner) && patches.size === 0) continue
      const directory = directories.paths.at(owner)
      if (!this.#isTouched(owner) && !patches.has(directory)) continue
      const folded = this.#isIn(owner, FOLDED) ? [] : this.#fold(owner)
      for (const write of folded) writes.push(write)
      const children = patches.get(directory)
      if (children !== undefined) for (const write of this.#patch(directory, children, folded)) writes.push(write)
      patches.delete(directory)
      this.#passOn(directory, patches)
      if (writes.length >= DIRECTORIES_AT_ONCE) {
        yield writes
        writes = []
      }
    }
    if (writes.length > 0) yield writes
  }

  /**
   * Times and modes of the placed directories, in groups, each directory after all that are inside it. A directory that the sync ended too
   * early to change keeps its former ones: what was placed in it has changed its time.
   */
  * directoryStates (): Generator<DirectoryState[], void, undefined> {
    const { directories } = this.#init
    let states: DirectoryState[] = []
    for (let owner = directories.length - 1; owner >= 0; owner--) {
      if (this.#states[owner] === UNTOUCHED || directories.structureCounts.at(owner) === 0) continue
      const directory = directories.at(owner)
      const isStructured = this.#isIn(owner, FOLDED | STRUCTURED | PARTLY_STRUCTURED)
      for (const state of isStructured ? directory.states() : this.#storedStates(directory)) states.push(state)
      if (states.length < DIRECTORIES_AT_ONCE) continue
      yield states
      states = []
    }
    if (states.length > 0) yield states
  }

  /** Times and modes as recorded in the index. */
  #storedStates (compared: ComparedDirectory): DirectoryState[] {
    const { index, area } = this.#init
    const { directory } = compared
    const listed = new Set([...compared.states()].map(state => state.directory))
    return directoriesOf(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)
      .filter(entry => !isUnknown(entry) && listed.has(joinPath(directory, entry.name)))
      .map(({ name, mtimeNs, mode }) => ({ directory: joinPath(directory, name), mtimeNs, mode }))
  }

  // If nothing was placed in the parent either, the index knows nothing of what the client listed.
  #isTouched (owner: number): boolean {
    if (this.#states[owner] !== UNTOUCHED) return true
    const above = this.#init.directories.paths.parentOf(owner)
    return above !== undefined && this.#states[above] !== UNTOUCHED
  }

  /** Has the parent take the digest of a directory that did not become as listed. */
  #passOn (directory: RelativePath, patches: Map<RelativePath, Map<Name, Digest>>): void {
    const actual = this.#deviating.get(directory)
    if (actual === undefined || directory === ROOT_PATH) return
    this.#deviating.delete(directory)
    const { directory: parent, name } = splitPath(directory)
    const siblings = patches.get(parent) ?? new Map<Name, Digest>()
    patches.set(parent, siblings.set(name, actual))
  }

  /** @param folded writes that are due for the directory itself */
  #patch (directory: RelativePath, children: Map<Name, Digest>, folded: readonly IndexWrite[]): IndexWrite[] {
    const { index, area, hash } = this.#init
    const written = folded.find(write => 'put' in write)
    const stored = written !== undefined && 'put' in written ? written.stored : index.directory({ area, directory }) ?? EMPTY_DIRECTORY
    const found = new Set<string>()
    const listing = patchDigests(stored.listing, name => {
      found.add(name)
      return children.get(name) ?? 'keep'
    })
    this.#deviating.set(directory, listingDigest(listing, hash))
    const orphans = [...children.keys()].filter(name => !found.has(name))
    return [
      { put: { area, directory }, stored: { listing, facts: stored.facts } },
      ...orphans.map(name => ({ drop: { area, directory: joinPath(directory, name) }, recursive: true })),
    ]
  }

  #fold (owner: number): IndexWrite[] {
    const { index, area, directories } = this.#init
    const compared = directories.at(owner)
    const { directory } = compared
    const account = this.#accounts.get(owner)
    const structure = this.#isIn(owner, STRUCTURED) ? [structureOf(compared)] : []
    const sections = account === undefined ? structure : [...structure, ...account.sections]
    const folded = foldDirectory(index.directory({ area, directory }) ?? EMPTY_DIRECTORY, sections, account?.removed ?? NO_NAMES)
    this.#compareWithListed(compared, folded.listing)
    // The listings of a million files take 60 MB, and are not needed once they are in the index.
    compared.releaseListing()
    const writes = [
      ...folded.lostDirectories.map(name => ({ drop: { area, directory: joinPath(directory, name) }, recursive: true })),
      { put: { area, directory }, stored: { listing: folded.listing, facts: folded.facts } },
      ...this.#release(owner),
    ]
    this.#mark(owner, FOLDED)
    this.#accounts.delete(owner)
    return writes
  }

  #compareWithListed ({ directory, digest, listing }: ComparedDirectory, folded: Uint8Array): void {
    if (digest === undefined && equalDigests(folded, listing)) return
    const actual = listingDigest(folded, this.#init.hash)
    if (digest === undefined || !equalDigests(actual, digest)) this.#deviating.set(directory, actual)
  }

  #bind (account: Account, journal: number): void {
    if (account.journals.has(journal)) return
    account.journals.add(journal)
    this.#hold(journal)
  }

  #hold (journal: number): void {
    this.#journals.set(journal, (this.#journals.get(journal) ?? 0) + 1)
  }

  #release (owner: number): IndexWrite[] {
    const done: number[] = []
    const structure = this.#isIn(owner, STRUCTURED) ? [this.#structures[owner] ?? 0] : []
    for (const journal of [...structure, ...this.#accounts.get(owner)?.journals ?? []]) {
      const left = (this.#journals.get(journal) ?? 1) - 1
      if (left === 0) done.push(journal)
      if (left === 0) this.#journals.delete(journal)
      else this.#journals.set(journal, left)
    }
    return done.map(journal => ({ area: this.#init.area, journal, batch: undefined }))
  }

  #isIn (owner: number, states: number): boolean {
    return ((this.#states[owner] ?? UNTOUCHED) & states) !== 0
  }

  #mark (owner: number, state: number): void {
    this.#states[owner] = (this.#states[owner] ?? UNTOUCHED) | state
  }

  #owner (directory: RelativePath): number {
    const owner = this.#init.directories.ownerOf(directory)
    if (owner === undefined) throw new RangeError(`The sync has no directory ${JSON.stringify(directory)}.`)
    return owner
  }

  #account (owner: number): Account {
    const known = this.#accounts.get(owner)
    if (known !== undefined) return known
    if (this.#isIn(owner, FOLDED)) {
      const { directory } = this.#init.directories.at(owner)
      throw new RangeError(`The listing of ${JSON.stringify(directory)} was written before all of it was placed.`)
    }
    const account = { sections: [], removed: undefined, journals: new Set<number>() }
    this.#accounts.set(owner, account)
    this.#mark(owner, TOUCHED)
    return account
  }
}

/** Whether a section consists of directories, links and metadata. */
function isStructure ({ facts, staged }: Section): boolean {
  return facts.length === 0 && staged[0] !== SAME_CONTENT
}
