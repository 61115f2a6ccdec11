import { checkJoin, checkWindowsName, foldKey, joinPath, LIMITS, pathDepth, problem, readListing, utf8Length } from '@filesync/protocol'
import type { Entry, Name, Problem, ProblemCode, RelativePath } from '@filesync/protocol'
import type { StoreTraits } from './content-store.ts'
import { isSameTime, TOUCH_GRAIN_NS } from './file-time.ts'
import { compareCursors, ListingCursor } from './listing-cursor.ts'

/** Names that are checked between two yields. */
const STEP_NAMES = 1024

/** The names of a directory, or of its pages that differ from the stored ones. */
export interface ListedNames {
  readonly directory: RelativePath
  /** The client's. */
  readonly listing: Uint8Array
  /** The stored ones; undefined if nothing of the directory is stored. */
  readonly committed?: Uint8Array | undefined
  /** The listings of the stored pages that the client has too. */
  readonly kept?: (() => Iterable<Uint8Array>) | undefined
}

/**
 * Checks whether the archive can store the names of a listing. Returns undefined if it can store all, otherwise a function that gives the
 * problem of a name. Of several spellings of one name, the stored one stays, or else the first one is stored. No memory is kept for each
 * refused name, because a client may send millions. Yields wherever the caller may pause.
 */
export function * checkNames (
  names: ListedNames, traits: StoreTraits,
): Generator<undefined, ((name: Name) => Problem | undefined) | undefined, undefined> {
  const { directory, listing } = names
  const { foldsNames, windowsNames } = traits
  const isAtLimit = pathDepth(directory) >= LIMITS.pathDepth || utf8Length(directory) + 1 + LIMITS.nameBytes > LIMITS.pathBytes
  if (!isAtLimit && !foldsNames && !windowsNames) return undefined
  const faultOf = (name: Name): ProblemCode | undefined => checkJoin(directory, name) ?? (windowsNames ? checkWindowsName(name) : undefined)
  const spellings = new Spellings()
  let isAnyFaulty = false
  let checked = 0
  for (const { name } of readListing(listing)) {
    if (++checked % STEP_NAMES === 0) yield undefined
    if (faultOf(name) !== undefined) isAnyFaulty = true
    else if (foldsNames) spellings.add(name)
  }
  if (foldsNames) yield * spellings.preferStored(names)
  if (!isAnyFaulty && !spellings.isAnyRefused) return undefined
  return name => {
    const fault = faultOf(name)
    if (fault !== undefined) return problem(joinPath(directory, name), fault)
    const first = foldsNames ? spellings.of(name) : name
    if (first === undefined || first === name) return undefined
    return problem(joinPath(directory, name), 'NAME_COLLIDES', `${JSON.stringify(first)} is stored; rename one of the two`)
  }
}

/** The spellings of names that are one name in a store that folds names. */
class Spellings {
  /** Whether any name is refused because of another spelling. */
  isAnyRefused = false
  /** By folded name, the spelling that is stored. */
  readonly #byKey = new Map<string, Name>()

  add (name: Name): void {
    const key = foldKey(name)
    if (this.#byKey.has(key)) this.isAnyRefused = true
    else this.#byKey.set(key, name)
  }

  of (name: Name): Name | undefined {
    return this.#byKey.get(foldKey(name))
  }

  /** Replaces spellings by those that are stored already, and stay. */
  * preferStored ({ listing, committed, kept }: ListedNames): Generator<undefined, void, undefined> {
    if (committed === undefined || !hasOtherNames(listing, committed)) return
    let checked = 0
    if (this.isAnyRefused) {
      for (const cursor of commonNames(listing, committed)) {
        if (++checked % STEP_NAMES === 0) yield undefined
        const name = cursor.name()
        if (this.of(name) !== undefined) this.#byKey.set(foldKey(name), name)
      }
    }
    for (const page of kept?.() ?? []) {
      for (const cursor = new ListingCursor(page); cursor.next();) {
        if (++checked % STEP_NAMES === 0) yield undefined
        const name = cursor.name()
        const key = foldKey(name)
        if (!this.#byKey.has(key)) continue
        this.#byKey.set(key, name)
        this.isAnyRefused = true
      }
    }
  }
}

/** Whether a listing has names that another one does not have. */
function hasOtherNames (listing: Uint8Array, other: Uint8Array): boolean {
  let common = 0
  for (const _ of commonNames(listing, other)) common++
  return common < new ListingCursor(listing).count
}

/** A cursor at each name of a listing that another one has too. */
function * commonNames (left: Uint8Array, right: Uint8Array): Generator<ListingCursor, void, undefined> {
  const [one, other] = [new ListingCursor(left), new ListingCursor(right)]
  one.next()
  other.next()
  while (!one.isDone && !other.isDone) {
    const order = compareCursors(one, other)
    if (order === 0) yield one
    if (order <= 0) one.next()
    if (order >= 0) other.next()
  }
}

/** Whether an entry is only in the index: a symbolic link in a store that cannot hold links. */
export function isIndexOnly ({ kind }: Pick<Entry, 'kind'>, { holdsLinks = true }: Pick<StoreTraits, 'holdsLinks'>): boolean {
  return kind === 'symlink' && !holdsLinks
}

/**
 * Whether a stored file may have the same content despite another mtime, because it was adopted or another machine stored it; comparing
 * digests decides.
 *
 * @param isInherited whether another machine stored the area, so that no file id means anything
 */
export function mayBeTwin (committed: Entry | undefined, entry: Entry, isInherited: boolean): boolean {
  if (committed?.kind !== 'file' || entry.kind !== 'file') return false
  // A client without file ids would be asked twice for each file that it changed.
  return (committed.fileId === 0n || isInherited) && entry.fileId !== 0n && committed.sizeBytes === entry.sizeBytes && entry.sizeBytes > 0
}

/** Whether the stored entry was rebuilt from the disk, which stores mtimes less exactly and no file ids. */
export function isRebuiltTwin (committed: Entry | undefined, entry: Entry): boolean {
  if (committed?.kind !== 'file' || entry.kind !== 'file' || committed.fileId !== 0n) return false
  return committed.sizeBytes === entry.sizeBytes && isSameTime(committed.mtimeNs, entry.mtimeNs, TOUCH_GRAIN_NS)
}
