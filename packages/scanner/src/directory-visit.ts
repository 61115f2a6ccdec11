import { readListing } from '@filesync/protocol'
import type { Entry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import { ChildDigests, DirectoryNode, indexOfChild, storedListing } from './directory-node.ts'
import type { NodeId } from './directory-node.ts'
import { withIgnored } from './directory-notes.ts'
import type { DirectoryContents, DirectoryNotes } from './directory-reading.ts'
import type { DirtyDirectory } from './dirty-directories.ts'
import { addOdd, oddOf, RunningTally } from './node-tally.ts'
import { patchListing } from './patch-listing.ts'
import type { FinishedChild } from './patch-listing.ts'
import type { RuleSet } from './rule-set.ts'

export interface DirectoryVisitInit extends NodeId {
  readonly path: RelativePath
  readonly name: Name
  readonly parent: DirectoryVisit | undefined
  /** Position among the subdirectories of the parent, if that was read whole. */
  readonly index: number
  readonly old: DirectoryNode | undefined
  /** Whether nothing below may be taken from the previous tree. */
  readonly mustReread: boolean
  readonly dirty: DirtyDirectory | undefined
  /** The rules of the parent. */
  readonly rules: RuleSet
}

/** A directory that will become a node. */
export interface DirectoryVisit extends DirectoryVisitInit {
  /** Subdirectories that are not finished, and one for the directory itself until all of them are known. */
  pending: number
  content: VisitContent | undefined
}

/** What is known of a directory before its subdirectories are finished. */
interface VisitContent {
  /** The rules for its entries. */
  readonly rules: RuleSet
  /** Adds a subdirectory that is finished. */
  add (child: FinishedChild, index: number): void
  /** The node; the old one if nothing changed. */
  finish (visit: DirectoryVisit, hash: HashBytes): DirectoryNode
}

const NO_CHILDREN: readonly DirectoryNode[] = []

/** What a node is made of. */
export type ContentOfReading = Pick<
  DirectoryContents, 'block' | 'start' | 'end' | 'digestOffsets' | 'childNames' | 'childIds' | 'files' | 'bytes'
>

/** A directory that was read whole. */
export class WholeContent implements VisitContent {
  readonly rules: RuleSet
  readonly childNames: readonly Name[]
  readonly #reading: ContentOfReading
  readonly #notes: DirectoryNotes
  readonly #children: (DirectoryNode | undefined)[]
  readonly #old: DirectoryNode | undefined
  readonly #oldChildren: readonly DirectoryNode[]
  #oldDigests: ChildDigests | undefined

  /** @param old the directory in the previous tree, if its subdirectories may be taken from there */
  constructor (
    reading: ContentOfReading, { rules, notes, old }: Pick<DirectoryVisit, 'rules' | 'old'> & { readonly notes: DirectoryNotes },
  ) {
    this.rules = rules
    this.childNames = reading.childNames
    this.#reading = reading
    this.#notes = notes
    this.#children = new Array<DirectoryNode | undefined>(reading.childNames.length)
    this.#old = old
    this.#oldChildren = old?.allChildren() ?? []
  }

  childId (index: number): NodeId {
    const { childIds } = this.#reading
    return { idLow: childIds[index * 2] ?? 0, idHigh: childIds[index * 2 + 1] ?? 0 }
  }

  /** Index of a subdirectory in the previous tree, or -1. Another directory of the same name shares nothing with it. */
  oldIndex (index: number): number {
    const at = indexOfChild(this.#oldChildren, this.childNames[index] ?? '' as Name)
    const old = this.#oldChildren[at]
    const { idLow, idHigh } = this.childId(index)
    return old?.idLow === idLow && old.idHigh === idHigh ? at : -1
  }

  oldChild (oldIndex: number): DirectoryNode | undefined {
    return this.#oldChildren[oldIndex]
  }

  /** Takes a subdirectory from the previous tree. */
  keep (index: number, oldIndex: number): void {
    this.#children[index] = this.#oldChildren[oldIndex]
    if (this.#old === undefined) return
    this.#oldDigests ??= new ChildDigests(this.#old)
    this.#writeDigest(index, this.#oldDigests.at(oldIndex))
  }

  add ({ node, digest }: FinishedChild, index: number): void {
    this.#children[index] = node
    this.#writeDigest(index, digest)
  }

  finish ({ name, idLow, idHigh, old }: DirectoryVisit, hash: HashBytes): DirectoryNode {
    const { block, start, end, files, bytes } = this.#reading
    const children = this.childNames.length === 0 ? NO_CHILDREN : this.#children.filter(child => child !== undefined)
    const isSame = old?.rules === this.rules && old.notes === this.#notes && old.idLow === idLow && old.idHigh === idHigh &&
      equalBytes(old.listing, block.subarray(start, end)) && this.#oldChildren.every((child, at) => child === children[at])
    if (isSame) return old
    const tally = new RunningTally()
    tally.add({ files, directories: children.length, bytes, odd: oddOf(this.#notes) })
    for (const child of children) tally.add(child)
    const listing = storedListing({ block, start, end }, children, hash)
    return new DirectoryNode({ name, idLow, idHigh, rules: this.rules, notes: this.#notes, listing, children, tally })
  }

  #writeDigest (index: number, digest: Uint8Array): void {
    const offset = this.#reading.digestOffsets[index]
    if (offset === undefined) throw new Error('a listing has no field for a digest')
    this.#reading.block.set(digest, this.#reading.start + offset)
  }
}

/** A directory that is as in the previous tree, except for some of its entries and subdirectories. */
export class PatchedContent implements VisitContent {
  readonly rules: RuleSet
  readonly #old: DirectoryNode
  readonly #notes: DirectoryNotes
  readonly #entries = new Map<Name, Entry | undefined>()
  readonly #children = new Map<Name, FinishedChild>()

  constructor (old: DirectoryNode, notes: DirectoryNotes = old.notes) {
    this.rules = old.rules
    this.#old = old
    this.#notes = notes
  }

  /** As the previous tree, except for the entries that were looked at. */
  static ofNames (old: DirectoryNode, names: readonly Name[], reading: DirectoryContents): PatchedContent {
    const content = new PatchedContent(old, withIgnored(old.notes, new Set(names), reading.ignoredNames ?? []))
    for (const name of names) content.#entries.set(name, undefined)
    for (const entry of readListing(reading.block.subarray(reading.start, reading.end))) content.#entries.set(entry.name, entry)
    return content
  }

  add (child: FinishedChild): void {
    // Its digest and its node are those of the previous tree, if nothing changed in it.
    this.#children.set(child.node.name, child)
  }

  finish (_visit: DirectoryVisit, hash: HashBytes): DirectoryNode {
    const patched = patchListing(this.#old, { entries: this.#entries, children: this.#children }, hash)
    if (patched === undefined && this.#notes === this.#old.notes) return this.#old
    const tally = new RunningTally()
    tally.add(this.#old)
    tally.odd = addOdd(addOdd(tally.odd, oddOf(this.#old.notes), -1), oddOf(this.#notes))
    if (patched !== undefined) tally.add(patched.difference)
    return this.#old.with({ ...patched ?? this.#old.stored, notes: this.#notes, tally })
  }
}

function equalBytes (left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false
  return true
}
