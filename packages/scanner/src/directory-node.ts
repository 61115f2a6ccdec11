import { countListing, digestOffsets, LIMITS, readListing } from '@filesync/protocol'
import type { Digest, HashBytes, Name } from '@filesync/protocol'
import { NO_NOTES } from './directory-notes.ts'
import type { DirectoryNotes } from './directory-reading.ts'
import { LargeListing } from './large-listing.ts'
import { NOTHING_ODD } from './node-tally.ts'
import type { OddTally, Tally } from './node-tally.ts'
import type { RuleSet } from './rule-set.ts'
import { findName } from './sort-names.ts'

const NO_CHILDREN: readonly DirectoryNode[] = []

/** An encoded listing within a block of many: a buffer for each directory would cost much more memory. */
export interface ListingSlice {
  readonly block: Uint8Array
  readonly start: number
  readonly end: number
}

/** Identifies a directory as long as it exists: the low and the high half of a number of 64 bits. */
export interface NodeId {
  readonly idLow: number
  readonly idHigh: number
}

export interface DirectoryNodeInit extends NodeId {
  readonly name: Name
  /** The rules for its entries. */
  readonly rules: RuleSet
  readonly notes: DirectoryNotes
  readonly listing: ListingSlice | LargeListing
  /** The subdirectories, in the order of their names; with a large listing they are in its pages. */
  readonly children: readonly DirectoryNode[]
  readonly tally: Tally
}

/**
 * One directory of a finished tree. Immutable: a new tree shares the nodes of the old one that did not change. There may be a million of
 * them, so what almost every directory has in common is shared.
 */
export class DirectoryNode implements Tally, NodeId {
  readonly name: Name
  readonly idLow: number
  readonly idHigh: number
  readonly files: number
  readonly directories: number
  readonly bytes: number
  readonly #facts: NodeFacts
  readonly #children: readonly DirectoryNode[]
  readonly #listing: Uint8Array | LargeListing
  readonly #start: number
  readonly #end: number

  constructor ({ name, idLow, idHigh, rules, notes, listing, children, tally }: DirectoryNodeInit) {
    this.name = name
    this.idLow = idLow
    this.idHigh = idHigh
    this.files = tally.files
    this.directories = tally.directories
    this.bytes = tally.bytes
    this.#facts = factsOf(rules, notes, tally.odd)
    const isLarge = listing instanceof LargeListing
    this.#children = isLarge || children.length === 0 ? NO_CHILDREN : children
    this.#listing = isLarge ? listing : listing.block
    this.#start = isLarge ? 0 : listing.start
    this.#end = isLarge ? 0 : listing.end
  }

  get rules (): RuleSet { return this.#facts.rules }
  get notes (): DirectoryNotes { return this.#facts.notes }
  get odd (): OddTally { return this.#facts.odd }

  /** The whole listing: a view, or a copy if the directory has several pages. */
  get listing (): Uint8Array {
    return this.#listing instanceof LargeListing ? this.#listing.join() : this.#listing.subarray(this.#start, this.#end)
  }

  /** The listing and the subdirectories as they are stored. */
  get stored (): Pick<DirectoryNodeInit, 'listing' | 'children'> {
    const listing = this.#listing instanceof LargeListing ? this.#listing : { block: this.#listing, start: this.#start, end: this.#end }
    return { listing, children: this.#children }
  }

  /** The pages of the listing, if it has several. */
  get large (): LargeListing | undefined {
    return this.#listing instanceof LargeListing ? this.#listing : undefined
  }

  /** Number of entries. */
  get entries (): number {
    return this.#listing instanceof LargeListing ? this.#listing.entries : countListing(this.listing)
  }

  /** The same directory with another content. */
  with (facts: Pick<DirectoryNodeInit, 'listing' | 'children' | 'notes' | 'tally'>): DirectoryNode {
    const { name, idLow, idHigh, rules } = this
    return new DirectoryNode({ name, idLow, idHigh, rules, ...facts })
  }

  digest (hash: HashBytes): Digest {
    return this.#listing instanceof LargeListing ? this.#listing.tree.digest : hash(this.listing)
  }

  /** A subdirectory. */
  child (name: Name): DirectoryNode | undefined {
    const children = this.#listing instanceof LargeListing ? this.#listing.childrenNear(name) : this.#children
    return children[indexOfChild(children, name)]
  }

  /** All subdirectories, in the order of their names. Copies them if the directory has several pages. */
  allChildren (): readonly DirectoryNode[] {
    return this.#listing instanceof LargeListing ? this.#listing.pages.flatMap(({ children }) => children) : this.#children
  }

  /** The subdirectories that have, or have below them, what is not usual. */
  oddChildren (): readonly DirectoryNode[] {
    if (this.odd === NOTHING_ODD) return NO_CHILDREN
    const found: DirectoryNode[] = []
    const groups = this.#listing instanceof LargeListing ? this.#listing.pages.filter(({ isOdd }) => isOdd) : [{ children: this.#children }]
    for (const { children } of groups) for (const child of children) if (child.odd !== NOTHING_ODD) found.push(child)
    return found
  }
}

/** What is the same in almost every directory, and shared by those. */
interface NodeFacts {
  readonly rules: RuleSet
  readonly notes: DirectoryNotes
  readonly odd: OddTally
}

const usualFacts = new WeakMap<RuleSet, NodeFacts>()

function factsOf (rules: RuleSet, notes: DirectoryNotes, odd: OddTally): NodeFacts {
  if (notes !== NO_NOTES || odd !== NOTHING_ODD) return { rules, notes, odd }
  let facts = usualFacts.get(rules)
  if (facts === undefined) {
    facts = { rules, notes, odd }
    usualFacts.set(rules, facts)
  }
  return facts
}

/** Index among nodes in the order of their names, or -1. */
export function indexOfChild (children: readonly DirectoryNode[], name: Name): number {
  return findName(children.length, index => children[index]?.name ?? '', name)
}

/** The listing of a node: in pages if it is long. */
export function storedListing (slice: ListingSlice, children: readonly DirectoryNode[], hash: HashBytes): ListingSlice | LargeListing {
  // An entry has six bytes at least; almost no directory is long enough to count its entries.
  if (slice.end - slice.start < LIMITS.pageEntries * 6) return slice
  const bytes = slice.block.subarray(slice.start, slice.end)
  return countListing(bytes) > LIMITS.pageEntries ? LargeListing.cut(bytes, children, hash) : slice
}

/** The digests of subdirectories in a listing, in their order. */
export class ChildDigests {
  readonly #listing: Uint8Array
  readonly #offsets: readonly number[]

  constructor (node: DirectoryNode) {
    this.#listing = node.listing
    this.#offsets = digestOffsets(this.#listing)
  }

  /** A view, not a copy. */
  at (index: number): Uint8Array {
    const offset = this.#offsets[index] ?? 0
    return this.#listing.subarray(offset, offset + 32)
  }
}

/** Whether a directory or one below it has a symbolic link. */
export function hasLinks (top: DirectoryNode): boolean {
  const stack = [top]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const { kind } of readListing(node.listing)) if (kind === 'symlink') return true
    for (const child of node.allChildren()) stack.push(child)
  }
  return false
}
