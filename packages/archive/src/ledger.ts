import { equalDigests, joinPath, pathDepth, splitPath } from '@filesync/protocol'
import type { Digest, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from './archive-index.ts'
import type { ComparedDirectory, DirectoryClaim } from './comparison.ts'
import { EMPTY_DIRECTORY, foldDirectory, patchDigests } from './fold.ts'
import type { Plan } from './plan.ts'
import { countContents } from './section.ts'
import type { Removal, Section } from './section.ts'

interface Account {
  readonly directory: RelativePath
  readonly sections: Section[]
  readonly removed: Set<string>
  readonly journals: Set<number>
  /** Tasks and moves that are not settled, and one for the structure. */
  pending: number
  readonly waitsForRemoval: boolean
  isFolded: boolean
  /** Undefined where more is asked of what was compared, or it is none of the compared ones. */
  compared: ComparedDirectory | undefined
}

const NOTHING = new Uint8Array(0)
const NO_OFFSETS = new Uint32Array(0)

export interface LedgerInit {
  readonly index: ArchiveIndex
  readonly area: string
  readonly hash: HashBytes
  readonly claims: ReadonlyMap<RelativePath, DirectoryClaim>
}

/**
 * Keeps for each directory of a sync what has taken its place, and turns it into index writes: a directory's listing is
 * written once, when nothing more can happen in it, so that a million files in one directory are not written again with
 * every batch.
 */
export class Ledger {
  readonly #init: LedgerInit
  readonly #accounts = new Map<RelativePath, Account>()
  /** Digests of the directories that were folded. */
  readonly #actual = new Map<RelativePath, Digest>()
  /** For each journal number the directories that still need it. */
  readonly #journals = new Map<number, number>()
  readonly #ready: Account[] = []

  constructor (init: LedgerInit, directories: readonly ComparedDirectory[], plan: Pick<Plan, 'moves' | 'removals' | 'forgotten'>) {
    this.#init = init
    const leaving = new Set([...plan.removals, ...plan.forgotten].map(removal => removal.directory))
    for (const compared of directories) {
      const { directory, wanted, structure } = compared
      const waitsForRemoval = leaving.has(directory)
      const pending = wanted.length + Number(structure.length > 0)
      this.#accounts.set(directory, { directory, sections: [], removed: new Set(), journals: new Set(), pending, waitsForRemoval, isFolded: false, compared })
    }
    for (const move of plan.moves) {
      const account = this.#account(move.directory.directory)
      account.pending++
      // How much room a moved file takes is asked again later.
      account.compared = undefined
    }
    for (const account of this.#accounts.values()) this.#noteIfReady(account)
  }

  /** A batch was placed; `placed` is what of it succeeded. */
  placed (journal: number, batch: readonly Section[], placed: readonly Section[]): void {
    for (const section of placed) {
      const account = this.#account(section.directory)
      account.sections.push(section)
      this.#bind(account, journal)
    }
    for (const section of batch) {
      this.settled(section.directory, Math.max(1, countContents(section)))
    }
  }

  /** So many tasks of a directory came to an end without anything to place. */
  settled (directory: RelativePath, count: number): void {
    const account = this.#account(directory)
    account.pending -= count
    this.#noteIfReady(account)
  }

  /** @param journal undefined where the names leave the index alone */
  removed (journal: number | undefined, removals: readonly Removal[]): void {
    for (const { directory, names } of removals) {
      const account = this.#account(directory)
      for (const name of names) account.removed.add(name)
      if (journal !== undefined) this.#bind(account, journal)
    }
  }

  /** Writes for the directories in which nothing more can happen. */
  takeReady (): IndexWrite[] {
    return this.#ready.splice(0).flatMap(account => this.#fold(account))
  }

  /** Writes for everything that is left, and for directories that hold the digest of one that did not become as claimed. */
  takeAll (): IndexWrite[] {
    const writes: IndexWrite[] = []
    const deviating = new Map<RelativePath, Map<string, Digest>>()
    const deepestFirst = [...this.#accounts.values()].sort((a, b) => pathDepth(b.directory) - pathDepth(a.directory))
    for (const account of deepestFirst) {
      const folded = account.isFolded ? [] : this.#fold(account)
      for (const write of folded) writes.push(write)
      const { directory } = account
      const children = deviating.get(directory)
      if (children !== undefined) for (const write of this.#patch(directory, children, folded)) writes.push(write)
      const actual = this.#actual.get(directory)
      const claim = this.#init.claims.get(directory)
      if (actual === undefined || claim === undefined || equalDigests(actual, claim.digest)) continue
      const { directory: parent, name } = splitPath(directory)
      const siblings = deviating.get(parent) ?? new Map<string, Digest>()
      deviating.set(parent, siblings.set(name, actual))
    }
    return writes
  }

  /** @param folded what is about to be written of the directory itself */
  #patch (directory: RelativePath, children: Map<string, Digest>, folded: readonly IndexWrite[]): IndexWrite[] {
    const { index, area, hash } = this.#init
    const written = folded.find(write => 'put' in write)
    const stored = written !== undefined && 'put' in written ? written.stored : index.directory({ area, directory }) ?? EMPTY_DIRECTORY
    const found = new Set<string>()
    const listing = patchDigests(stored.listing, name => {
      found.add(name)
      return children.get(name) ?? 'keep'
    })
    this.#actual.set(directory, hash(listing))
    const orphans = [...children.keys()].filter(name => !found.has(name))
    return [
      { put: { area, directory }, stored: { listing, facts: stored.facts } },
      ...orphans.map(name => ({ drop: { area, directory: joinPath(directory, name as Name) }, andBelow: true })),
    ]
  }

  #fold (account: Account): IndexWrite[] {
    const { index, area, hash } = this.#init
    const { directory } = account
    const folded = foldDirectory(index.directory({ area, directory }) ?? EMPTY_DIRECTORY, account.sections, account.removed)
    account.isFolded = true
    account.sections.length = 0
    letGo(account)
    this.#actual.set(directory, hash(folded.listing))
    return [
      ...folded.lostDirectories.map(name => ({ drop: { area, directory: joinPath(directory, name as Name) }, andBelow: true })),
      { put: { area, directory }, stored: { listing: folded.listing, facts: folded.facts } },
      ...this.#release(account),
    ]
  }

  #bind (account: Account, journal: number): void {
    if (account.journals.has(journal)) return
    account.journals.add(journal)
    this.#journals.set(journal, (this.#journals.get(journal) ?? 0) + 1)
  }

  #release (account: Account): IndexWrite[] {
    const done: number[] = []
    for (const journal of account.journals) {
      const left = (this.#journals.get(journal) ?? 1) - 1
      this.#journals.set(journal, left)
      if (left === 0) done.push(journal)
    }
    account.journals.clear()
    return done.map(journal => ({ area: this.#init.area, journal, batch: undefined }))
  }

  #noteIfReady (account: Account): void {
    if (account.pending === 0 && !account.waitsForRemoval && !account.isFolded) this.#ready.push(account)
  }

  #account (directory: RelativePath): Account {
    const account = this.#accounts.get(directory)
    if (account === undefined) throw new RangeError(`The sync has no directory ${JSON.stringify(directory)}.`)
    return account
  }
}

/** The listings of a million files take 60 MB, and those that are in the index are of no more use. */
function letGo (account: Account): void {
  if (account.compared === undefined) return
  account.compared.listing = NOTHING
  account.compared.offsets = NO_OFFSETS
  account.compared = undefined
}
