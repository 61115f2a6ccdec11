import { joinPath, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { DirectoryState, Version } from './content-store.ts'
import { EMPTY_DIRECTORY } from './fold.ts'
import { knownFiles } from './lookup.ts'
import { versionsAt } from './retention.ts'

/** What there was of an area at a moment. */
export interface PastState {
  /** Files and links, each with the end of the version that holds it; undefined where the mirror still does. */
  readonly files: Map<RelativePath, number | undefined>
  readonly directories: Map<RelativePath, DirectoryState>
}

export interface PastStateSource {
  readonly index: ArchiveIndex
  readonly area: string
  /** Those of the path and of what lies below it. */
  readonly versions: readonly Version[]
}

/** What stood at a path and below it at a moment, from what the mirror holds and what left it since. */
export function stateAt ({ index, area, versions }: PastStateSource, path: RelativePath, atMs: number): PastState {
  const state = stillThere(index, { area, path, atMs })
  for (const version of versionsAt(versions, atMs)) {
    if (version.kind === 'directory') state.directories.set(version.path, { directory: version.path, mtimeNs: version.mtimeNs, mode: 0o755 })
    else state.files.set(version.path, version.untilMs)
  }
  for (const file of state.files.keys()) state.directories.delete(file)
  return state
}

/** What stood there at that moment and still does. */
function stillThere (index: ArchiveIndex, { area, path, atMs }: { readonly area: string, readonly path: RelativePath, readonly atMs: number }): PastState {
  const state: PastState = { files: new Map(), directories: new Map() }
  if (path !== ROOT_PATH) {
    const { directory, name } = splitPath(path)
    for (const known of knownFiles(index, area, directory)) if (known.entry.name === name && known.fact.storedAtMs <= atMs) state.files.set(path, undefined)
  }
  const below = [path]
  for (let next = below.pop(); next !== undefined; next = below.pop()) {
    for (const known of knownFiles(index, area, next)) if (known.fact.storedAtMs <= atMs) state.files.set(known.path, undefined)
    for (const entry of readListing(index.listing({ area, directory: next }) ?? EMPTY_DIRECTORY.listing)) {
      const child = joinPath(next, entry.name)
      if (entry.kind === 'symlink') state.files.set(child, undefined)
      if (entry.kind !== 'directory') continue
      state.directories.set(child, { directory: child, mtimeNs: entry.mtimeNs, mode: entry.mode })
      below.push(child)
    }
  }
  return state
}
