import { equalDigests, listingDigest, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ComparedDirectories } from '../compare/compared-directories.ts'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import { structureOf } from '../compare/cut-section.ts'
import type { DirectoryState } from '../store/content-store.ts'
import { changeDirectory } from '../store/change-directory.ts'
import type { ChangedDirectory } from '../store/change-directory.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { inSteps } from '../store/index-steps.ts'
import { findDirectory } from '../store/lookup.ts'
import { PageLookup } from '../store/page-lookup.ts'
import type { Plan } from '../compare/plan.ts'
import { countAnswers, SAME_CONTENT } from '../store/section.ts'
import type { Removal, Section } from '../store/section.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { JournalNeeds } from './journal-needs.ts'

/** What happened in one directory beyond its structure. */
interface Account {
  sections: Section[]
  /** Entries of the sections. */
  entries: number
  removed: Set<string> | undefined
  /** Numbers of the journal entries that it needs. */
  journals: Set<number>
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
/** Entries of one directory that wait to be written, unless more can happen in it soon: a million of them would take 120 MB. */
const WAITING_ENTRIES = 32_768
/** Directories that get their times in one call: a million at once would block the thread for long. */
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
 * Collects what was placed in each directory, and turns it into index writes. Writes a directory once, when nothing more can happen in it,
 * and before that only if very many of its entries are waiting: tasks are answered nearly in order, so each of its pages is still written
 * once or twice. Until then the journal entries that the directory needs are kept, from which it can be written after a crash.
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
  readonly #journals: JournalNeeds
  readonly #ready: number[] = []
  /** Directories with very many waiting entries. */
  readonly #large = new Set<number>()

  constructor (init: LedgerInit, plan: Pick<Plan, 'removals' | 'forgotten'>) {
    this.#init = init
    this.#journals = new JournalNeeds(init.area)
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
        this.#journals.hold(journal)
        this.#mark(owner, STRUCTURED)
        continue
      }
      if (isStructure(section)) this.#mark(owner, PARTLY_STRUCTURED)
      const account = this.#account(owner)
      account.sections.push(section)
      account.entries += section.staged.length
      this.#bind(account, journal)
      if (account.entries >= WAITING_ENTRIES) this.#large.add(owner)
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

  /**
   * Writes for directories in which nothing more can happen, and for those with very many waiting entries, in steps to be
   * applied in order.
   */
  * takeReady (): Generator<IndexWrite[], void, undefined> {
    yield * inSteps(this.#init.index, this.#foldReady())
  }

  /**
   * Writes for the remaining directories, and for those that hold the digest of a directory that did not become as listed, in steps, to be
   * applied in order. A directory comes after all that are inside it: the digests are consistent only after the last step.
   */
  * takeRest (): Generator<IndexWrite[], void, undefined> {
    yield * inSteps(this.#init.index, this.#foldRest())
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
    const pages = new PageLookup(index, area)
    const states: DirectoryState[] = []
    for (const state of compared.states()) {
      const { name } = splitPath(state.directory)
      const entry = findDirectory(pages.find(directory, name) ?? EMPTY_DIRECTORY, name)
      if (entry !== undefined && !isUnknown(entry)) states.push({ ...state, mtimeNs: entry.mtimeNs, mode: entry.mode })
    }
    return states
  }

  * #foldReady (): Generator<readonly IndexWrite[], void, undefined> {
    for (const owner of this.#ready.splice(0)) {
      this.#large.delete(owner)
      yield * this.#fold(owner)
    }
    for (const owner of this.#large) yield * this.#foldWaiting(owner)
    this.#large.clear()
  }

  * #foldRest (): Generator<readonly IndexWrite[], void, undefined> {
    const { directories } = this.#init
    const patches = new Map<RelativePath, Map<Name, Digest>>()
    for (let owner = directories.length - 1; owner >= 0; owner--) {
      if (!this.#isTouched(owner) && patches.size === 0) continue
      const directory = directories.paths.at(owner)
      const digests = patches.get(directory)
      patches.delete(directory)
      if (!this.#isTouched(owner) && digests === undefined) continue
      if (!this.#isIn(owner, FOLDED)) yield * this.#fold(owner, digests)
      else if (digests !== undefined) yield * this.#patch(directory, digests)
      this.#passOn(directory, patches)
    }
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

  /** Gives subdirectories of a directory that was written other digests. */
  * #patch (directory: RelativePath, digests: ReadonlyMap<Name, Digest>): Generator<readonly IndexWrite[], void, undefined> {
    const changed = yield * changeDirectory(this.#init, { directory, sections: [], removed: NO_NAMES, digests })
    this.#deviating.set(directory, changed.digest())
  }

  /** @param digests those of subdirectories that did not become as listed */
  * #fold (owner: number, digests?: ReadonlyMap<Name, Digest>): Generator<readonly IndexWrite[], void, undefined> {
    const compared = this.#init.directories.at(owner)
    const { directory } = compared
    const account = this.#accounts.get(owner)
    const structure = this.#isIn(owner, STRUCTURED) ? [structureOf(compared)] : []
    const sections = account === undefined ? structure : [...structure, ...account.sections]
    const removed = account?.removed ?? NO_NAMES
    const changed = yield * changeDirectory(this.#init, { directory, sections, removed, digests })
    this.#compareWithListed(compared, changed)
    // The listings of a million files take 60 MB, and are not needed once they are in the index.
    compared.releaseListing()
    yield this.#journals.release(this.#journalsOf(owner))
    this.#mark(owner, FOLDED)
    this.#accounts.delete(owner)
  }

  /** Writes what waits of a directory in which more can happen. */
  * #foldWaiting (owner: number): Generator<readonly IndexWrite[], void, undefined> {
    const account = this.#account(owner)
    const { sections, removed = NO_NAMES, journals } = account
    const directory = this.#init.directories.paths.at(owner)
    yield * changeDirectory(this.#init, { directory, sections, removed })
    account.sections = []
    account.entries = 0
    account.removed = undefined
    account.journals = new Set()
    yield this.#journals.release(journals)
  }

  #compareWithListed ({ directory, digest, listing }: ComparedDirectory, changed: ChangedDirectory): void {
    if (digest === undefined && changed.whole !== undefined && equalDigests(changed.whole.listing, listing)) return
    const actual = changed.digest()
    if (!equalDigests(actual, digest ?? listingDigest(listing, this.#init.hash))) this.#deviating.set(directory, actual)
  }

  #bind (account: Account, journal: number): void {
    if (account.journals.has(journal)) return
    account.journals.add(journal)
    this.#journals.hold(journal)
  }

  #journalsOf (owner: number): number[] {
    const structure = this.#isIn(owner, STRUCTURED) ? [this.#structures[owner] ?? 0] : []
    return [...structure, ...this.#accounts.get(owner)?.journals ?? []]
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
    const account = { sections: [], entries: 0, removed: undefined, journals: new Set<number>() }
    this.#accounts.set(owner, account)
    this.#mark(owner, TOUCHED)
    return account
  }
}

/** Whether a section consists of directories, links and metadata. */
function isStructure ({ facts, staged }: Section): boolean {
  return facts.length === 0 && staged[0] !== SAME_CONTENT
}
