import { foldKey, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { knownEntries, openDamageAt } from '../store/damage.ts'
import type { Fact } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { isUnknown } from '../store/unknown-entry.ts'

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
export async function presentIn ({ area, index, store }: PresentSource, directory: RelativePath, only?: string): Promise<PresentEntry[]> {
  const key = (name: string): string => store.traits.foldsNames ? foldKey(name) : name
  const found = new Map<string, FoundEntry>()
  for (const entry of await listOf({ area, store }, directory, only)) {
    if (entry.kind !== 'special') found.set(key(entry.name), entry)
  }
  const present: PresentEntry[] = []
  for (const { entry, fact } of knownEntries(index.directory({ area, directory }) ?? EMPTY_DIRECTORY)) {
    if (only !== undefined && entry.name !== only) continue
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

async function listOf (
  { area, store }: Omit<PresentSource, 'index'>, directory: RelativePath, only: string | undefined,
): Promise<readonly FoundEntry[]> {
  if (only !== undefined) return (await store.find(area, directory, [only])).filter(entry => entry !== undefined)
  try {
    return await store.list(area, directory)
  } catch (error) {
    if (directory === ROOT_PATH) throw error
    // It is gone or no longer a directory: what the index knows of it is then missing.
    return []
  }
}
