import { ENTRY_KINDS, foldKey, joinPath, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { knownEntries, openDamageAt } from '../store/damage.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { isUnknown, isUnknownAt } from '../store/unknown-entry.ts'

export interface PresentSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'list' | 'find' | 'traits'>
}

/** What is at a path of the mirror now, according to the index and the store. */
export interface PresentEntry {
  readonly path: RelativePath
  /** The entry as stored; undefined if it was put there by hand. */
  readonly entry: Entry | undefined
  /** If it is a file that the index knows. */
  readonly fact: Fact | undefined
  /** The entry as found on the store; undefined if there is none. */
  readonly found: FoundEntry | undefined
  /** Whether it is known to be damaged. */
  readonly isDamaged: boolean
}

/** What the mirror has at a path itself; empty or one entry. */
export async function presentAt (source: PresentSource, path: RelativePath): Promise<PresentEntry[]> {
  const { directory, name } = splitPath(path)
  return (await presentIn(source, directory, name)).filter(one => one.path === path)
}

/**
 * What the mirror has in a directory, or only at one of its names. Index and store are both read, because each may know what the other
 * does not.
 */
async function presentIn ({ area, index, store }: PresentSource, directory: RelativePath, only?: string): Promise<PresentEntry[]> {
  const key = (name: string): string => store.traits.foldsNames ? foldKey(name) : name
  const found = byName(await listOf({ area, store }, directory, { only }), key)
  const all = knownEntries(index.directory({ area, directory }) ?? EMPTY_DIRECTORY)
  const known = [...all].filter(({ entry }) => only === undefined || entry.name === only)
  return match({ area, index, store }, directory, { known, found, key })
}

interface Seen {
  readonly known: readonly { readonly entry: Entry, readonly fact: Fact | undefined }[]
  /** What the store has, by the key of its name. */
  readonly found: Map<string, FoundEntry>
  readonly key: (name: string) => string
}

/** Joins what the index knows and what the store has. */
function match ({ area, index }: PresentSource, directory: RelativePath, { known, found, key }: Seen): PresentEntry[] {
  const present: PresentEntry[] = []
  for (const { entry, fact } of known) {
    const there = found.get(key(entry.name))
    found.delete(key(entry.name))
    const path = joinPath(directory, entry.name)
    const damage = isUnknown(entry) ? openDamageAt(index, area, path) : undefined
    const stored = isUnknown(entry) ? { entry: damage?.entry, fact: damage?.fact } : { entry, fact }
    present.push({ path, found: there, isDamaged: damage !== undefined, ...stored })
  }
  for (const there of found.values()) {
    // It may have a name that no client could push; restoring it is possible all the same.
    const path = joinPath(directory, there.name as Name)
    present.push({ path, entry: undefined, fact: undefined, found: there, isDamaged: false })
  }
  return present.filter(({ entry, found: there }) => entry !== undefined || there !== undefined)
}

/** What the mirror has in a directory. */
export interface PresentDirectory {
  /** Files that are as the index knows them. Nothing but their facts is known of them: they were not looked at. */
  readonly plain: StoredDirectory
  /** Everything else. */
  readonly others: readonly PresentEntry[]
}

/**
 * As {@link presentIn}, for all of a directory. Most of it is files that the index knows.
 *
 * @param special paths that count as others
 */
export async function presentDirectory (
  source: PresentSource, directory: RelativePath, special: ReadonlySet<RelativePath>,
): Promise<PresentDirectory> {
  const { area, index, store } = source
  const stored = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
  const key = (name: string): string => store.traits.foldsNames ? foldKey(name) : name
  const found = byName(await listOf({ area, store }, directory, { known: knownListing(stored.listing) }), key)
  // A sync changed it meanwhile: files that it removed were left out, and are in the index no longer.
  if (!isSame(stored, index.directory({ area, directory }) ?? EMPTY_DIRECTORY)) {
    return { plain: EMPTY_DIRECTORY, others: await presentIn(source, directory) }
  }
  const isPlain = (cursor: ListingCursor): boolean => {
    if (cursor.kind !== ENTRY_KINDS.file || isUnknownAt(cursor)) return false
    if (found.size + special.size === 0) return true
    const name = cursor.name()
    return !found.has(key(name)) && !special.has(joinPath(directory, name))
  }
  const { plain, others } = divide(stored, isPlain)
  return { plain, others: match(source, directory, { known: others, found, key }) }
}

/** A listing without entries that only mark a name as taken, so that what is there is looked at. */
function knownListing (listing: Uint8Array): Uint8Array {
  const known = new ListingBuilder()
  let isAll = true
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    if (isUnknownAt(cursor)) isAll = false
    else known.add(listing.subarray(cursor.start, cursor.end))
  }
  return isAll ? listing : known.finish()
}

/** Divides a directory into the files that pass a test, and everything else. */
function divide ({ listing, facts }: StoredDirectory, isPlain: (cursor: ListingCursor) => boolean): {
  readonly plain: StoredDirectory
  readonly others: Seen['known']
} {
  const [plain, others] = [new ListingBuilder(), new ListingBuilder()]
  const [plainFacts, otherFacts]: [Uint8Array[], (Fact | undefined)[]] = [[], []]
  let at = 0
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    const fact = cursor.kind === ENTRY_KINDS.file ? facts.subarray(at, at += FACT_BYTES) : undefined
    const entry = listing.subarray(cursor.start, cursor.end)
    if (fact !== undefined && isPlain(cursor)) {
      plain.add(entry)
      plainFacts.push(fact)
    } else {
      others.add(entry)
      otherFacts.push(fact && readFact(fact, 0))
    }
  }
  if (otherFacts.length === 0) return { plain: { listing, facts }, others: [] }
  const joined = new Uint8Array(plainFacts.length * FACT_BYTES)
  plainFacts.forEach((fact, i) => { joined.set(fact, i * FACT_BYTES) })
  return {
    plain: { listing: plain.finish(), facts: joined },
    others: [...readListing(others.finish())].map((entry, i) => ({ entry, fact: otherFacts[i] })),
  }
}

function byName (entries: readonly FoundEntry[], key: (name: string) => string): Map<string, FoundEntry> {
  return new Map(entries.filter(({ kind }) => kind !== 'special').map(entry => [key(entry.name), entry]))
}

function isSame (left: StoredDirectory, right: StoredDirectory): boolean {
  return equalBytes(left.listing, right.listing) && equalBytes(left.facts, right.facts)
}

function equalBytes (left: Uint8Array, right: Uint8Array): boolean {
  if (left === right) return true
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false
  return true
}

async function listOf (
  { area, store }: Omit<PresentSource, 'index'>, directory: RelativePath,
  { only, known }: { readonly only?: string | undefined, readonly known?: Uint8Array },
): Promise<readonly FoundEntry[]> {
  if (only !== undefined) return (await store.find(area, directory, [only])).filter(entry => entry !== undefined)
  try {
    return await store.list(area, directory, known)
  } catch (error) {
    if (directory === ROOT_PATH) throw error
    // It is gone or no longer a directory: what the index knows of it is then missing.
    return []
  }
}
