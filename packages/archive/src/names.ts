import { checkJoin, checkWindowsName, foldKey, LIMITS, problem, readListing, utf8Length } from '@filesync/protocol'
import type { Entry, Problem, RelativePath } from '@filesync/protocol'
import { joinPath } from '@filesync/protocol'
import type { StoreTraits } from './content-store.ts'
import { isSameTime, TOUCH_GRAIN_NS } from './file-time.ts'

/** The names of one listing that the archive cannot hold, each with its problem. */
export function refusedNames (directory: RelativePath, listing: Uint8Array, traits: StoreTraits): Map<string, Problem> {
  const refused = new Map<string, Problem>()
  const isLong = utf8Length(directory) + 1 + LIMITS.nameBytes > LIMITS.pathBytes
  if (!isLong && !traits.foldsNames && !traits.windowsNames) return refused
  const spellings = new Map<string, string>()
  for (const { name } of readListing(listing)) {
    const fault = checkJoin(directory, name) ?? (traits.windowsNames ? checkWindowsName(name) : undefined)
    const path = joinPath(directory, name)
    if (fault !== undefined) {
      refused.set(name, problem(path, fault))
      continue
    }
    if (!traits.foldsNames) continue
    const first = spellings.get(foldKey(name))
    if (first === undefined) spellings.set(foldKey(name), name)
    else refused.set(name, problem(path, 'NAME_COLLIDES', `${JSON.stringify(first)} is stored; rename one of the two`))
  }
  return refused
}

/**
 * Whether a link can be made without leading out of the area. `..` may only stand in front: behind a name it could climb
 * from where another link leads to, which text alone does not tell.
 */
export function staysInside (depth: number, target: string): boolean {
  if (target.startsWith('/') || target.includes('\\') || /^[a-z]:/iu.test(target)) return false
  let ups = 0
  let named = false
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') named = true
    else if (named || ++ups > depth) return false
  }
  return true
}

/** Whether what is stored may have the same content though its time is another one: a copy that was brought by hand. Its digest tells. */
export function mayBeTwin (committed: Entry | undefined, entry: Entry): boolean {
  if (committed?.kind !== 'file' || entry.kind !== 'file') return false
  // A client that knows no identities would be asked twice for each file that it changed.
  return committed.identity === 0n && entry.identity !== 0n && committed.sizeBytes === entry.sizeBytes && entry.sizeBytes > 0
}

/** Whether what is stored was made again from the disk, which holds times less exactly and no identities. */
export function isRebuiltTwin (committed: Entry | undefined, entry: Entry): boolean {
  if (committed?.kind !== 'file' || entry.kind !== 'file' || committed.identity !== 0n) return false
  return committed.sizeBytes === entry.sizeBytes && isSameTime(committed.mtimeNs, entry.mtimeNs, TOUCH_GRAIN_NS)
}
