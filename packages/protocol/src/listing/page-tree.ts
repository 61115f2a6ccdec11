import type { Digest, HashBytes } from '../digest.ts'
import { LIMITS } from '../limits.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'
import { MsgpackWriter } from '../encoding/msgpack-writer.ts'
import { countListing } from './listing.ts'
import { cutPages, endsPage, nameHash } from './page-cut.ts'
import { encodePageTable } from './page-table.ts'
import type { Page } from './page-table.ts'

/** A page of entries with its encoding, which is a canonical listing. */
export interface LeafPage extends Page {
  readonly bytes: Uint8Array
}

/** A page or a page table in a page tree. */
export interface PageNode extends Page {
  /** 0 for pages of entries. */
  readonly level: number
  /** Position in its level. */
  readonly index: number
  /** The nodes of the level below that its table names: from `from` up to, but without, `to`. Both 0 for pages of entries. */
  readonly from: number
  readonly to: number
  /** The pages of entries that it covers: from `leafFrom` up to, but without, `leafTo`. */
  readonly leafFrom: number
  readonly leafTo: number
}

const encoder = new TextEncoder()
const writer = new MsgpackWriter()

/**
 * The pages of one directory and the tables above them. A directory of at most `LIMITS.pageEntries` entries is one page. Otherwise each
 * level of pages is named by tables, which are cut by the same rule, until one table is left: the top. Immutable.
 *
 * It is a Merkle tree whose boundaries depend on the names alone, so two states of a directory share every page, and every table, in
 * whose range of names nothing differs. Compare "prolly trees" in the Noms documentation.
 */
export class PageTree {
  /** Digest of the top, which is the digest of the directory. */
  readonly digest: Digest
  /** `levels[0]` are the pages of entries; the last level has one node, the top. */
  readonly levels: readonly (readonly PageNode[])[]
  #byDigest: Map<string, PageNode> | undefined

  /** @param leaves the pages of entries in order, at least one */
  constructor (leaves: readonly Page[], hash: HashBytes) {
    let level: PageNode[] = leaves.map(({ firstName, entries, digest }, index) => ({
      firstName, entries, digest, level: 0, index, from: 0, to: 0, leafFrom: index, leafTo: index + 1,
    }))
    const levels = [level]
    while (level.length > 1) {
      level = tablesAbove(level, levels.length, hash)
      levels.push(level)
    }
    const top = level[0]
    if (top === undefined) throw new RangeError('A page tree needs at least one page.')
    this.levels = levels
    this.digest = top.digest
  }

  /** The top node. */
  get top (): PageNode {
    return this.#node(this.levels.length - 1, 0)
  }

  /** The encoded table of a node above the pages of entries. */
  table (level: number, index: number): Uint8Array {
    const { from, to } = this.#node(level, index)
    return encodePageTable((this.levels[level - 1] ?? []).slice(from, to))
  }

  /** The page or table with this digest, in any level. */
  find (digest: Digest): PageNode | undefined {
    this.#byDigest ??= new Map(this.levels.flatMap(level => level.map(node => [keyOf(node.digest), node])))
    return this.#byDigest.get(keyOf(digest))
  }

  #node (level: number, index: number): PageNode {
    const node = this.levels[level]?.[index]
    if (node === undefined) throw new RangeError(`A page tree has no node ${String(index)} in level ${String(level)}.`)
    return node
  }
}

function tablesAbove (below: readonly PageNode[], level: number, hash: HashBytes): PageNode[] {
  const tables: PageNode[] = []
  let from = 0
  for (let at = 1; at <= below.length; at++) {
    const next = below[at]
    if (next !== undefined && (below.length <= LIMITS.pageEntries || !endsPage(at - from, hashOf(next), level))) continue
    tables.push(tableOf(below, { from, to: at, level, index: tables.length }, hash))
    from = at
  }
  return tables
}

function tableOf (
  below: readonly PageNode[], place: Pick<PageNode, 'from' | 'to' | 'level' | 'index'>, hash: HashBytes,
): PageNode {
  const children = below.slice(place.from, place.to)
  const [first] = children
  const last = children.at(-1)
  if (first === undefined || last === undefined) throw new RangeError('A page table needs at least one page.')
  return {
    ...place,
    firstName: first.firstName,
    entries: children.reduce((sum, { entries }) => sum + entries, 0),
    digest: hash(encodePageTable(children)),
    leafFrom: first.leafFrom,
    leafTo: last.leafTo,
  }
}

function hashOf ({ firstName }: Page): number {
  const bytes = encoder.encode(firstName)
  return nameHash(bytes, 0, bytes.length)
}

function keyOf (digest: Digest): string {
  return String.fromCharCode(...digest)
}

/** Cuts a whole listing into its pages of entries, in order; a short listing is its only page. Throws LISTING_INVALID. */
export function * leafPages (listing: Uint8Array, hash: HashBytes): Generator<LeafPage, void, undefined> {
  for (const { start, end, entries, firstName } of cutPages(listing)) {
    const isWhole = end === listing.length && entries === countListing(listing)
    const bytes = isWhole ? listing : withHeader(entries, listing.subarray(start, end))
    yield { firstName, entries, digest: hash(bytes), bytes }
  }
}

/** The digest of a directory with this whole listing. Throws LISTING_INVALID. */
export function listingDigest (listing: Uint8Array, hash: HashBytes): Digest {
  if (countListing(listing) <= LIMITS.pageEntries) return hash(listing)
  const leaves: Page[] = []
  for (const { firstName, entries, digest } of leafPages(listing, hash)) leaves.push({ firstName, entries, digest })
  return new PageTree(leaves, hash).digest
}

/** The whole listing of consecutive pages of entries; an empty listing if there are none. */
export function joinPages (pages: Iterable<Uint8Array>): Uint8Array {
  const all = [...pages]
  if (all.length === 1 && all[0] !== undefined) return all[0]
  const bodies: Uint8Array[] = []
  let entries = 0
  for (const page of all) {
    const reader = new MsgpackReader(page)
    entries += reader.array()
    bodies.push(page.subarray(reader.offset))
  }
  return withHeader(entries, ...bodies)
}

function withHeader (entries: number, ...bodies: readonly Uint8Array[]): Uint8Array {
  writer.reset()
  writer.array(entries)
  const header = writer.toBytes()
  const bytes = new Uint8Array(bodies.reduce((sum, body) => sum + body.length, header.length))
  bytes.set(header)
  let at = header.length
  for (const body of bodies) {
    bytes.set(body, at)
    at += body.length
  }
  return bytes
}
