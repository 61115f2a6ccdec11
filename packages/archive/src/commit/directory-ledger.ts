import { equalDigests, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import type { DirectoryState } from '../store/content-store.ts'
import { EMPTY_DIRECTORY, foldDirectory, patchDigests } from '../store/fold.ts'
import { directoriesOf } from '../store/lookup.ts'
import type { Plan } from '../compare/plan.ts'
import { countAnswers, SAME_CONTENT } from '../store/section.ts'
import type { Removal, Section } from '../store/section.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** What happened in one directory. A directory in which nothing did has none. */
interface Account {
  readonly compared: ComparedDirectory
  readonly sections: Section[]
  removed: Set<string> | undefined
  /** Numbers of the journal entries that it needs. */
  journals: number[]
  /** Tasks that have not ended, and one for the structure. */
  pending: number
  /** Whether the structure is placed. */
  isStructured: boolean
}

/** Replaces the account of a directory whose listing was written. */
const FOLDED = 'folded'
/** Directories that are written in one transaction, or get their times in one call: a million at once would block the thread for long. */
const DIRECTORIES_AT_ONCE = 2048
const NO_NAMES: ReadonlySet<string> = new Set()

export interface LedgerInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly hash: HashBytes
  /** Each directory before those inside it. */
  readonly directories: readonly ComparedDirectory[]
  /** The position of each in `directories`. */
  readonly owners: ReadonlyMap<RelativePath, number>
}

/**
 * Collects what was placed in each directory, and turns it into index writes. Writes a directory's listing once, when nothing more can
 * happen in it, so that a directory of a million files is not written with every batch. Until then the journal entries that the
 * directory needs are kept, from which its listing can be written after a crash.
 */
export class DirectoryLedger {
  readonly #init: LedgerInit
  /** By the position of the directory. */
  readonly #accounts: (Account | typeof FOLDED | undefined)[]
  readonly #leaving: ReadonlySet<RelativePath>
  /** Digests of directories that were written and differ from what the client listed. */
  readonly #deviating = new Map<RelativePath, Digest>()
  /** By journal number, how many directories still need the entry. */
  readonly #journals = new Map<number, number>()
  readonly #ready: number[] = []

  constructor (init: LedgerInit, plan: Pick<Plan, 'removals' | 'forgotten'>) {
    this.#init = init
    this.#accounts = []
    this.#leaving = new Set([...plan.removals, ...plan.forgotten].map(removal => removal.directory))
  }

  /** A batch was placed; `placed` is the part of it that succeeded. */
  addPlaced (journal: number, batch: readonly Section[], placed: readonly Section[]): void {
    for (const section of placed) {
      const account = this.#account(this.#owner(section.directory))
      account.sections.push(section)
      account.isStructured ||= isStructure(section)
      this.#bind(account, journal)
    }
    for (const section of batch) {
      this.endTasks(section.directory, Math.max(1, countAnswers(section)))
    }
  }

  /** Tasks of a directory have ended, successfully or not. */
  endTasks (directory: RelativePath, count: number): void {
    const owner = this.#owner(directory)
    const account = this.#account(owner)
    account.pending -= count
    if (account.pending === 0 && !this.#leaving.has(directory)) this.#ready.push(owner)
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
      const directory = directories[owner]?.directory ?? ROOT_PATH
      if (!this.#isTouched(owner) && !patches.has(directory)) continue
      const folded = this.#accounts[owner] === FOLDED ? [] : this.#fold(owner)
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
      const account = this.#accounts[owner]
      if (account === undefined) continue
      const isStructured = account === FOLDED || account.isStructured
      for (const state of isStructured ? directories[owner]?.states() ?? [] : this.#storedStates(directories[owner])) states.push(state)
      if (states.length < DIRECTORIES_AT_ONCE) continue
      yield states
      states = []
    }
    if (states.length > 0) yield states
  }

  /** Times and modes as recorded in the index. */
  #storedStates (compared: ComparedDirectory | undefined): DirectoryState[] {
    const { index, area } = this.#init
    if (compared === undefined) return []
    const { directory } = compared
    const listed = new Set([...compared.states()].map(state => state.directory))
    return directoriesOf(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)
      .filter(entry => !isUnknown(entry) && listed.has(joinPath(directory, entry.name)))
      .map(({ name, mtimeNs, mode }) => ({ directory: joinPath(directory, name), mtimeNs, mode }))
  }

  // If nothing was placed in the parent either, the index knows nothing of what the client listed.
  #isTouched (owner: number): boolean {
    if (this.#accounts[owner] !== undefined) return true
    const directory = this.#init.directories[owner]?.directory ?? ROOT_PATH
    if (directory === ROOT_PATH) return false
    const above = this.#init.owners.get(splitPath(directory).directory)
    return above !== undefined && this.#accounts[above] !== undefined
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
    this.#deviating.set(directory, hash(listing))
    const orphans = [...children.keys()].filter(name => !found.has(name))
    return [
      { put: { area, directory }, stored: { listing, facts: stored.facts } },
      ...orphans.map(name => ({ drop: { area, directory: joinPath(directory, name) }, recursive: true })),
    ]
  }

  #fold (owner: number): IndexWrite[] {
    const { index, area, hash } = this.#init
    const account = this.#account(owner)
    const { compared, sections, removed } = account
    const { directory } = compared
    const folded = foldDirectory(index.directory({ area, directory }) ?? EMPTY_DIRECTORY, sections, removed ?? NO_NAMES)
    if (!equalDigests(folded.listing, compared.listing)) this.#deviating.set(directory, hash(folded.listing))
    // The listings of a million files take 60 MB, and are not needed once they are in the index.
    compared.releaseListing()
    this.#accounts[owner] = FOLDED
    return [
      ...folded.lostDirectories.map(name => ({ drop: { area, directory: joinPath(directory, name) }, recursive: true })),
      { put: { area, directory }, stored: { listing: folded.listing, facts: folded.facts } },
      ...this.#release(account),
    ]
  }

  #bind (account: Account, journal: number): void {
    if (account.journals.includes(journal)) return
    account.journals.push(journal)
    this.#journals.set(journal, (this.#journals.get(journal) ?? 0) + 1)
  }

  #release (account: Account): IndexWrite[] {
    const done: number[] = []
    for (const journal of account.journals) {
      const left = (this.#journals.get(journal) ?? 1) - 1
      if (left === 0) done.push(journal)
      if (left === 0) this.#journals.delete(journal)
      else this.#journals.set(journal, left)
    }
    account.journals = []
    return done.map(journal => ({ area: this.#init.area, journal, batch: undefined }))
  }

  #owner (directory: RelativePath): number {
    const owner = this.#init.owners.get(directory)
    if (owner === undefined) throw new RangeError(`The sync has no directory ${JSON.stringify(directory)}.`)
    return owner
  }

  #account (owner: number): Account {
    const known = this.#accounts[owner]
    if (known !== undefined && known !== FOLDED) return known
    const compared = this.#init.directories[owner]
    if (compared === undefined || known === FOLDED) {
      throw new RangeError(`The listing of ${JSON.stringify(compared?.directory)} was written before all of it was placed.`)
    }
    const pending = compared.wanted.length + Number(compared.structure.length > 0)
    const account = { compared, sections: [], removed: undefined, journals: [], pending, isStructured: false }
    this.#accounts[owner] = account
    return account
  }
}

/** Whether a section consists of directories, links and metadata. */
function isStructure ({ facts, staged }: Section): boolean {
  return facts.length === 0 && staged[0] !== SAME_CONTENT
}
