import { compareNames, decodeListing, encodeListing, equalDigests, joinPages, LIMITS } from '@filesync/protocol'
import type { Digest, Entry, HashBytes, Name } from '@filesync/protocol'
import type { DirectoryNode, ListingSlice } from './directory-node.ts'
import { LargeListing, pagesOf, pageWith } from './large-listing.ts'
import type { ListingPage } from './large-listing.ts'
import { NOTHING_ODD, RunningTally } from './node-tally.ts'
import type { Tally } from './node-tally.ts'

/** A subdirectory that was read again, and the digest of its listing. */
export interface FinishedChild {
  readonly node: DirectoryNode
  readonly digest: Digest
}

/** What replaces parts of a directory. */
export interface ListingPatch {
  /** By name, the entries that were looked at again; undefined if nothing has the name now. Digests in them do not count. */
  readonly entries: ReadonlyMap<Name, Entry | undefined>
  /** By name, the subdirectories that were read again or are new. */
  readonly children: ReadonlyMap<Name, FinishedChild>
}

/** The directory afterwards. */
export interface PatchedListing {
  readonly listing: ListingSlice | LargeListing
  readonly children: readonly DirectoryNode[]
  /** What the directory has more than before, or less. */
  readonly difference: RunningTally
}

/** A page with entries that were replaced. */
interface PatchedPage {
  /** May be empty, or longer than a page. */
  readonly bytes: Uint8Array
  readonly entries: number
  readonly children: readonly DirectoryNode[]
  /** Whether an entry is new or gone, which can move the boundaries of pages. */
  readonly isRecut: boolean
}

/**
 * Replaces some entries and subdirectories of a directory. Only the pages that have, or would have, these names are decoded; the others
 * are shared. Returns undefined if nothing changed.
 */
export function patchListing (old: DirectoryNode, patch: ListingPatch, hash: HashBytes): PatchedListing | undefined {
  const pages = old.large?.pages ?? [onlyPage(old)]
  const named = new Map<number, Name[]>()
  for (const name of [...new Set([...patch.entries.keys(), ...patch.children.keys()])].sort(compareNames)) {
    const at = old.large?.pageOf(name) ?? 0
    const names = named.get(at)
    if (names === undefined) named.set(at, [name])
    else names.push(name)
  }
  const difference = new RunningTally()
  const changed = new Map<number, PatchedPage>()
  for (const [at, names] of named) {
    const page = pages[at]
    const patched = page === undefined ? undefined : patchPage(page, names, { patch, difference })
    if (patched !== undefined) changed.set(at, patched)
  }
  return changed.size === 0 ? undefined : { ...joinShort(replacePages(pages, changed, hash), hash), difference }
}

/** The page of a directory that has only one. Its digest is not needed. */
function onlyPage (node: DirectoryNode): ListingPage {
  const { listing: bytes, entries } = node
  return { firstName: '' as Name, entries, bytes, digest: bytes as Digest, children: node.allChildren(), isOdd: false }
}

function joinShort (pages: readonly ListingPage[], hash: HashBytes): Pick<PatchedListing, 'listing' | 'children'> {
  const entries = pages.reduce((sum, page) => sum + page.entries, 0)
  if (entries > LIMITS.pageEntries) return { listing: new LargeListing(pages, hash), children: [] }
  const block = joinPages(pages.map(({ bytes }) => bytes))
  return { listing: { block, start: 0, end: block.length }, children: pages.flatMap(({ children }) => children) }
}

function patchPage (
  page: ListingPage, names: readonly Name[], { patch, difference }: { readonly patch: ListingPatch, readonly difference: RunningTally },
): PatchedPage | undefined {
  const before = decodeListing(page.bytes)
  const entries: Entry[] = []
  const children: DirectoryNode[] = []
  let isRecut = false
  let isChanged = false
  let at = 0
  let childAt = 0
  const keepUntil = (name: Name | undefined): void => {
    for (let entry = before[at]; entry !== undefined && (name === undefined || compareNames(entry.name, name) < 0); entry = before[++at]) {
      entries.push(entry)
    }
    for (let child = page.children[childAt]; child !== undefined && (name === undefined || compareNames(child.name, name) < 0);) {
      children.push(child)
      child = page.children[++childAt]
    }
  }
  for (const name of names) {
    keepUntil(name)
    const was = before[at]?.name === name ? before[at++] : undefined
    const oldChild = page.children[childAt]?.name === name ? page.children[childAt++] : undefined
    const entry = entryAfter(patch, name, was)
    const child = entry?.kind !== 'directory' ? undefined : patch.children.get(name)?.node ?? oldChild
    if (entry?.kind === 'directory' && child === undefined) throw new Error('a directory was listed that was not read')
    if (entry !== undefined) entries.push(entry)
    if (child !== undefined) children.push(child)
    isRecut ||= (was === undefined) !== (entry === undefined)
    isChanged ||= child !== oldChild || !isSameEntry(was, entry)
    difference.add(tallyOf(was, oldChild), -1)
    difference.add(tallyOf(entry, child))
  }
  if (!isChanged) return undefined
  keepUntil(undefined)
  return { bytes: encodeListing(entries), entries: entries.length, children, isRecut }
}

/** The entry of a name: as it was looked at, otherwise as it was; with the new digest of a directory that was read. */
function entryAfter ({ entries, children }: ListingPatch, name: Name, was: Entry | undefined): Entry | undefined {
  const entry = entries.has(name) ? entries.get(name) : was
  const digest = children.get(name)?.digest
  return entry?.kind === 'directory' && digest !== undefined ? { ...entry, digest } : entry
}

/** What an entry contributes to the tally of its directory. */
function tallyOf (entry: Entry | undefined, child: DirectoryNode | undefined): Tally {
  if (child !== undefined) return { files: child.files, directories: child.directories + 1, bytes: child.bytes, odd: child.odd }
  return entry?.kind === 'file' ? { ...NOTHING, files: 1, bytes: entry.sizeBytes } : NOTHING
}

const NOTHING: Tally = { files: 0, directories: 0, bytes: 0, odd: NOTHING_ODD }

function isSameEntry (left: Entry | undefined, right: Entry | undefined): boolean {
  if (left === undefined || right === undefined || left.kind !== right.kind) return left === right
  if (left.mtimeNs !== right.mtimeNs) return false
  if (left.kind === 'symlink') return right.kind === 'symlink' && left.target === right.target
  if (right.kind === 'symlink' || left.mode !== right.mode) return false
  if (left.kind === 'directory') return right.kind === 'directory' && equalDigests(left.digest, right.digest)
  return right.kind === 'file' && left.sizeBytes === right.sizeBytes && left.fileId === right.fileId
}

/**
 * The pages after some were patched. Where an entry came or went, pages are cut again from the page before it to the first page that
 * begins as before: the rule for cutting looks at nothing but the page itself.
 */
function replacePages (pages: readonly ListingPage[], changed: ReadonlyMap<number, PatchedPage>, hash: HashBytes): ListingPage[] {
  const done: ListingPage[] = []
  for (let at = 0; at < pages.length;) {
    const page = pages[at]
    const patched = changed.get(at)
    if (page === undefined) break
    if (patched === undefined || !patched.isRecut) {
      done.push(patched === undefined ? page : pageWith({ ...page, bytes: patched.bytes, digest: hash(patched.bytes) }, patched.children))
      at++
      continue
    }
    at = recut({ pages, changed, done, at }, hash)
  }
  return done
}

interface Recut {
  readonly pages: readonly ListingPage[]
  readonly changed: ReadonlyMap<number, PatchedPage>
  /** The new pages so far. */
  readonly done: ListingPage[]
  /** Index of the page with which cutting begins. */
  readonly at: number
}

type Part = Pick<PatchedPage, 'bytes' | 'entries' | 'children'>

/** Cuts again from a page on, and returns the index of the first page that stays as it is. */
function recut ({ pages, changed, done, at: first }: Recut, hash: HashBytes): number {
  const parts: Part[] = []
  // The first name of the page may be gone, and with it the boundary to the page before.
  const before = done.pop()
  if (before !== undefined) parts.push(before)
  let at = first
  for (let page = pages[at]; page !== undefined; page = pages[++at]) {
    const patched = changed.get(at)
    const isLong = sizeOf(parts) + page.entries > LIMITS.pageEntries
    if (patched === undefined && isLong) {
      const cut = cutParts([...parts, page], hash)
      const same = cut.findIndex(({ firstName }) => firstName === page.firstName)
      if (same >= 0) {
        done.push(...cut.slice(0, same))
        return at
      }
    }
    parts.push(patched ?? page)
  }
  // A short listing would be one page.
  for (let more = done.at(-1); more !== undefined && sizeOf(parts) <= LIMITS.pageEntries; more = done.at(-1)) {
    parts.unshift(more)
    done.pop()
  }
  done.push(...cutParts(parts, hash))
  return at
}

function cutParts (parts: readonly Part[], hash: HashBytes): ListingPage[] {
  return pagesOf(joinPages(parts.map(({ bytes }) => bytes)), parts.flatMap(({ children }) => children), hash)
}

function sizeOf (parts: readonly Part[]): number {
  return parts.reduce((sum, { entries }) => sum + entries, 0)
}
