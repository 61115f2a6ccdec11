import { compareNames, readListing } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import { hasOnlyNames } from './directory-notes.ts'
import type { NamedEntries } from './directory-reading.ts'
import type { DirtyDirectory } from './dirty-directories.ts'
import { IGNORE_FILE_NAME } from './ignore-rules.ts'

/** With fewer entries, reading all of them costs little. */
const LOOK_FROM_ENTRIES = 256
/** Looking at a large part of the names is not cheaper than reading the directory, and finds less. */
const LEAST_ENTRIES_PER_NAME = 8
const KNOWN_NAMES = 4

/**
 * The entries to look at in a directory because events named them, instead of reading the directory. Undefined if it has to be
 * read: if it is short, if it was marked for another reason than such events, or if there are notes about it that only all its
 * entries together decide.
 *
 * @param isMountPoint whether something is, or was, mounted at an entry
 */
export function namesToLookAt (
  old: DirectoryNode, dirty: DirtyDirectory, isMountPoint: (name: Name) => boolean,
): NamedEntries | undefined {
  if (dirty.isWhole || dirty.isSubtree || !hasOnlyNames(old.notes)) return undefined
  const { entries } = old
  if (entries < LOOK_FROM_ENTRIES || dirty.below.size * LEAST_ENTRIES_PER_NAME > entries) return undefined
  const names: Name[] = []
  for (const [name, { isNamed }] of dirty.below) {
    if (!isNamed) continue
    if (name === IGNORE_FILE_NAME || isMountPoint(name)) return undefined
    names.push(name)
  }
  if (names.length === 0) return undefined
  const { idLow, idHigh } = old
  return { names: names.sort(compareNames), known: someNames(old), rules: old.rules, id: old.name === '' ? undefined : { idLow, idHigh } }
}

function someNames (node: DirectoryNode): Name[] {
  const names: Name[] = []
  for (const { name } of readListing(node.large?.pages[0]?.bytes ?? node.listing)) {
    names.push(name)
    if (names.length === KNOWN_NAMES) break
  }
  return names
}
