import { foldKey, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { knownEntries, openDamageAt } from '../store/damage.ts'
import type { Fact } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { isIndexOnly } from './events.ts'

export interface PresentSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'list' | 'find' | 'traits'>
}

/** What is at a path of the mirror now. */
export interface PresentEntry {
  readonly path: RelativePath
  /** As it was stored; undefined of what others put there. */
  readonly entry: Entry | undefined
  /** Of a file that the index knows. */
  readonly fact: Fact | undefined
  /** As the store has it; undefined if it has nothing there. */
  readonly found: FoundEntry | undefined
  /** Whether it is known not to be as it was stored any more. */
  readonly isDamaged: boolean
}

/** What the mirror holds at a path and below it, by the index and by the store: either may know what the other does not. */
export async function presentBelow (source: PresentSource, path: RelativePath): Promise<PresentEntry[]> {
  const present: PresentEntry[] = []
  const below: RelativePath[] = []
  const take = (seen: readonly PresentEntry[]): void => {
    for (const one of seen) {
      present.push(one)
      if (one.entry?.kind === 'directory' || one.found?.kind === 'directory') below.push(one.path)
    }
  }
  if (path === ROOT_PATH) below.push(ROOT_PATH)
  else take(await presentAt(source, path))
  for (let directory = below.pop(); directory !== undefined; directory = below.pop()) take(await presentIn(source, directory))
  return present
}

/** What the mirror holds at a path, without what lies below it; nothing or one. */
export async function presentAt (source: PresentSource, path: RelativePath): Promise<PresentEntry[]> {
  const { directory, name } = splitPath(path)
  return (await presentIn(source, directory, name)).filter(one => one.path === path)
}

async function presentIn ({ area, index, store }: PresentSource, directory: RelativePath, only?: string): Promise<PresentEntry[]> {
  const key = (name: string): string => store.traits.foldsNames ? foldKey(name) : name
  const found = new Map<string, FoundEntry>()
  for (const entry of await listOf({ area, store }, directory, only)) if (entry.kind !== 'special') found.set(key(entry.name), entry)
  const present: PresentEntry[] = []
  for (const { entry, fact } of knownEntries(index.directory({ area, directory }) ?? EMPTY_DIRECTORY)) {
    if (isIndexOnly(directory, entry) || (only !== undefined && entry.name !== only)) continue
    const there = found.get(key(entry.name))
    found.delete(key(entry.name))
    const path = joinPath(directory, entry.name)
    const damage = isUnknown(entry) ? openDamageAt(index, area, path) : undefined
    const stored = isUnknown(entry) ? { entry: damage?.entry, fact: damage?.fact } : { entry, fact }
    present.push({ path, found: there, isDamaged: damage !== undefined, ...stored })
  }
  for (const there of found.values()) present.push({ path: joinPath(directory, there.name as Entry['name']), entry: undefined, fact: undefined, found: there, isDamaged: false })
  return present.filter(({ entry, found: there }) => entry !== undefined || there !== undefined)
}

async function listOf ({ area, store }: Omit<PresentSource, 'index'>, directory: RelativePath, only: string | undefined): Promise<readonly FoundEntry[]> {
  if (only !== undefined) return (await store.find(area, directory, [only])).filter(entry => entry !== undefined)
  try {
    return await store.list(area, directory)
  } catch (error) {
    if (directory === ROOT_PATH) throw error
    // Somebody took it away, or it is none any more: what the index knows of it is named as missing.
    return []
  }
}
