import { checkJoin, checkWindowsName, foldKey, joinPath, LIMITS, pathDepth, problem, readListing, utf8Length } from '@filesync/protocol'
import type { Entry, Name, Problem, ProblemCode, RelativePath } from '@filesync/protocol'
import type { StoreTraits } from './content-store.ts'
import { isSameTime, TOUCH_GRAIN_NS } from './file-time.ts'

/** Names that are checked between two yields. */
const STEP_NAMES = 1024

/**
 * Checks whether the archive can store the names of a listing. Returns undefined if it can store all, otherwise a function that gives the
 * problem of a name. No memory is kept for each refused name, because a client may send millions. Yields wherever the caller may pause.
 */
export function * checkNames (
  directory: RelativePath, listing: Uint8Array, traits: StoreTraits,
): Generator<undefined, ((name: Name) => Problem | undefined) | undefined, undefined> {
  const { foldsNames, windowsNames } = traits
  const isAtLimit = pathDepth(directory) >= LIMITS.pathDepth || utf8Length(directory) + 1 + LIMITS.nameBytes > LIMITS.pathBytes
  if (!isAtLimit && !foldsNames && !windowsNames) return undefined
  const faultOf = (name: Name): ProblemCode | undefined => checkJoin(directory, name) ?? (windowsNames ? checkWindowsName(name) : undefined)
  const spellings = new Map<string, Name>()
  let isAnyRefused = false
  let checked = 0
  for (const { name } of readListing(listing)) {
    if (++checked % STEP_NAMES === 0) yield undefined
    if (faultOf(name) !== undefined) {
      isAnyRefused = true
    } else if (foldsNames) {
      const key = foldKey(name)
      if (spellings.has(key)) isAnyRefused = true
      else spellings.set(key, name)
    }
  }
  if (!isAnyRefused) return undefined
  return name => {
    const fault = faultOf(name)
    if (fault !== undefined) return problem(joinPath(directory, name), fault)
    const first = foldsNames ? spellings.get(foldKey(name)) : name
    if (first === undefined || first === name) return undefined
    return problem(joinPath(directory, name), 'NAME_COLLIDES', `${JSON.stringify(first)} is stored; rename one of the two`)
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
