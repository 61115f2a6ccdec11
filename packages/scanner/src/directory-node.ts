import { readListing } from '@filesync/protocol'
import type { Name, Problem } from '@filesync/protocol'
import type { ExcludedName, FoundMount, Unsettled } from './directory-reading.ts'
import type { LeftOutEntries } from './left-out.ts'
import type { RuleSet } from './rule-set.ts'
import { findName } from './sort-names.ts'

/** The content of one directory, without that of its subdirectories. */
export interface OwnFacts {
  readonly files: number
  readonly bytes: number
  readonly ignored: number
  readonly problems: readonly Problem[]
  readonly problemCount: number
  readonly leftOut?: LeftOutEntries
  readonly excluded?: readonly ExcludedName[]
  readonly mount?: FoundMount
  readonly complete: boolean
  readonly unsettled: readonly Unsettled[]
  /** The id of a FileSync archive, if the directory is the root of one. */
  readonly archiveId?: string
  /** The rules for its entries. */
  readonly rules: RuleSet
}

/** Totals of a directory and everything below it. */
export interface Totals {
  files: number
  directories: number
  bytes: number
  ignored: number
  problemCount: number
  leftOutCount: number
  /** Directories with a `mount`. */
  mountCount: number
  unsettledCount: number
  incomplete: number
}

/** An encoded listing within a block of many: a buffer for each directory would cost much more memory. */
export interface ListingSlice {
  readonly block: Uint8Array
  readonly start: number
  readonly end: number
  readonly digestOffsets: readonly number[]
}

/** One directory of a finished tree. Immutable: a new tree shares the nodes of the old one that did not change. */
export class DirectoryNode {
  readonly name: Name
  readonly fileId: bigint
  readonly own: OwnFacts
  readonly totals: Totals
  readonly children: readonly DirectoryNode[]
  readonly slice: ListingSlice

  constructor (init: Pick<DirectoryNode, 'name' | 'fileId' | 'own' | 'slice' | 'children'>) {
    this.name = init.name
    this.fileId = init.fileId
    this.own = init.own
    this.slice = init.slice
    this.children = init.children
    this.totals = sum(init.own, init.children)
  }

  /** The encoded listing. A view, not a copy. */
  get listing (): Uint8Array {
    return this.slice.block.subarray(this.slice.start, this.slice.end)
  }

  /** Index of a subdirectory among the children, or -1. */
  indexOf (name: Name): number {
    return findName(this.children.length, index => this.children[index]?.name ?? '', name)
  }

  /** The digest of a child's listing. A view, not a copy. */
  childDigest (index: number): Uint8Array {
    const at = this.slice.start + (this.slice.digestOffsets[index] ?? 0)
    return this.slice.block.subarray(at, at + 32)
  }
}

function sum (own: OwnFacts, children: readonly DirectoryNode[]): Totals {
  const totals: Totals = {
    files: own.files, directories: children.length, bytes: own.bytes, ignored: own.ignored,
    problemCount: own.problemCount, leftOutCount: own.leftOut?.count ?? 0, mountCount: own.mount === undefined ? 0 : 1,
    unsettledCount: own.unsettled.length, incomplete: own.complete ? 0 : 1,
  }
  for (const child of children) {
    totals.files += child.totals.files
    totals.directories += child.totals.directories
    totals.bytes += child.totals.bytes
    totals.ignored += child.totals.ignored
    totals.problemCount += child.totals.problemCount
    totals.leftOutCount += child.totals.leftOutCount
    totals.mountCount += child.totals.mountCount
    totals.unsettledCount += child.totals.unsettledCount
    totals.incomplete += child.totals.incomplete
  }
  return totals
}

/** Whether a directory or one below it has a symbolic link. */
export function hasLinks (top: DirectoryNode): boolean {
  const stack = [top]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const { kind } of readListing(node.listing)) if (kind === 'symlink') return true
    stack.push(...node.children)
  }
  return false
}
