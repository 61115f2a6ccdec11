import { listingDigest, ROOT_PATH, toHex } from '@filesync/protocol'
import type { ArrivedListing, HashBytes, RelativePath } from '@filesync/protocol'
import type { AreaRecord } from '../store/archive-index.ts'
import type { PlanOptions, WantedListing } from '../sync-contract.ts'
import { Comparison } from './comparison.ts'
import type { StoreTraits } from '../store/content-store.ts'
import { fitFiles } from './fit-files.ts'
import type { PlanDraft } from './fit-files.ts'
import { findLinks, NO_LINKED_FILES } from './links.ts'
import type { Links } from './links.ts'
import { findMoves } from './moves.ts'
import type { Move } from './moves.ts'
import { makePlan } from './plan.ts'
import type { Plan } from './plan.ts'
import { recheckRenumbered } from './renumbered.ts'
import type { SpaceLimits } from './room.ts'
import type { ScopeRules } from './scope.ts'
import { MirrorCount } from './mirror-count.ts'

export interface SyncPlannerInit extends SpaceLimits {
  /** What the sync may change. */
  readonly rules: ScopeRules
  readonly traits: StoreTraits
  readonly hash: HashBytes
  readonly deletions: 'mirror' | 'archive'
  readonly record: AreaRecord
  /** Unfinished large files by name, with their sizes. */
  readonly partials: ReadonlyMap<string, number>
}

const NS_PER_MS = 1_000_000n
const NO_PARTIALS: ReadonlyMap<string, number> = new Map()

/** Compares a client's tree with an area, listing by listing, and then plans the sync. Reads the index and writes nothing. */
export class SyncPlanner {
  readonly comparison: Comparison
  readonly mirror: MirrorCount
  readonly #init: SyncPlannerInit
  #tree = ''

  constructor (init: SyncPlannerInit) {
    this.#init = init
    this.comparison = new Comparison(init)
    this.comparison.inherited = new Set(init.record.inherited)
    this.mirror = new MirrorCount(init)
  }

  /** Root digest of the client's tree, in hexadecimal; empty before the root was compared. */
  get tree (): string {
    return this.#tree
  }

  /** See `Sync.compare`. */
  * compare (arrived: ArrivedListing): Generator<WantedListing | undefined, void, undefined> {
    const { directory, bytes, table } = arrived
    // The top of the root comes first.
    if (directory === ROOT_PATH && this.#tree === '') {
      const { hash } = this.#init
      this.#tree = toHex(table === undefined ? listingDigest(bytes, hash) : hash(bytes))
    }
    yield * this.comparison.add(arrived)
    yield * this.mirror.countIfNeeded(this.comparison)
  }

  /** To be called once, after all listings. */
  plan ({ complete, resume = true, digest = false, holes = false }: PlanOptions): Plan {
    const { comparison, mirror } = this
    const { deletions, hash, rules } = this.#init
    const partials = resume ? this.#init.partials : NO_PARTIALS
    // These steps adjust what the comparison wants. The plan then only reads it.
    if (digest) recheckRenumbered(comparison)
    const moves = digest ? findMoves(comparison) : []
    const links = digest ? this.#findLinks(moves) : NO_LINKED_FILES
    const isGone = (directory: RelativePath): boolean => rules.isComplete(directory, complete)
    const draft: PlanDraft = { moves, links, isGone, deletions, digest, holes }
    const fitting = fitFiles({ ...this.#init, mirror }, comparison, draft)
    return makePlan(comparison, { ...draft, partials, hash, fitting, stored: this.#init })
  }

  #findLinks (moves: readonly Move[]): Links {
    const { index, area, record, rules } = this.#init
    const storedUpToNs = BigInt(Math.floor(record.lastStampMs)) * NS_PER_MS
    return findLinks(this.comparison, { index, area, moves, storedUpToNs, hasFolders: rules.hasFolders })
  }
}
