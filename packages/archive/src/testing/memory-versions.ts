import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { KeptEntry } from '../store/content-store.ts'
import { WAS_KEPT } from '../store/section.ts'
import { compareFolders, parseVersionFolder, versionFolder } from '../store/version-folder.ts'
import { getOrInsert } from './get-or-insert.ts'
import { describeNode } from './memory-folder.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'

/** The place of something until it was replaced or removed. */
interface FormerPlace {
  readonly area: string
  readonly directory: RelativePath
  /** Of the sync that replaced or removed it. */
  readonly count: number
  readonly stampMs: number
}

/** Versions of what was replaced or removed, by sync. */
export class MemoryVersions {
  readonly #newFolder: () => MemoryFolder
  readonly #folders = new Map<string, Map<string, MemoryFolder>>()

  /** By area. */
  get folders (): Map<string, Map<string, MemoryFolder>> {
    return this.#folders
  }

  constructor (newFolder: () => MemoryFolder) {
    this.#newFolder = newFolder
  }

  /** Returns WAS_KEPT plus the number of the sync's folder that holds the version. */
  keep ({ area, directory, count, stampMs }: FormerPlace, name: string, node: MemoryNode): number {
    const home = getOrInsert(this.#folders, area, () => new Map<string, MemoryFolder>())
    for (let extra = 0; ; extra++) {
      const folder = getOrInsert(home, versionFolder({ count, stampMs, extra }), this.#newFolder).below(directory, 'make')
      if (folder === undefined || folder.get(name) !== undefined) continue
      folder.put(name, node)
      return WAS_KEPT + extra
    }
  }

  /** A folder with versions of one sync. */
  at (area: string, folder: string): MemoryFolder | undefined {
    return this.#folders.get(area)?.get(folder)
  }

  /** The versions of a path and of everything below it, newest first. */
  list (area: string, path: RelativePath): KeptEntry[] {
    const folders = [...this.#folders.get(area) ?? []].flatMap(([name, folder]) => {
      const parsed = parseVersionFolder(name)
      return parsed === undefined ? [] : [{ name, folder, parsed }]
    })
    return folders.sort((a, b) => compareFolders(a.parsed, b.parsed)).flatMap(({ name, folder }) => {
      if (path === ROOT_PATH) return below(folder, path, name)
      const node = folder.at(path)
      return node === undefined ? [] : [keptOf(path, node, name), ...below(node, path, name)]
    })
  }

  /** Drops a version, and the directories that become empty. */
  drop (area: string, { folder: name, path, found: { kind } }: KeptEntry): void {
    const home = this.#folders.get(area)
    const folder = home?.get(name)
    if (folder === undefined) return
    const { directory, name: last } = splitPath(path)
    if (kind !== 'directory') folder.below(directory)?.remove(last)
    for (let at = kind === 'directory' ? path : directory; at !== ROOT_PATH; at = splitPath(at).directory) {
      if (folder.below(at)?.isEmpty === true) folder.below(splitPath(at).directory)?.remove(splitPath(at).name)
    }
    if (folder.isEmpty) home?.delete(name)
  }
}

function below (node: MemoryNode, path: RelativePath, folder: string): KeptEntry[] {
  if (node.kind !== 'directory') return []
  return node.entries().flatMap(({ name, node: child }) => {
    const at = joinPath(path, name as Name)
    return [keptOf(at, child, folder), ...below(child, at, folder)]
  })
}

function keptOf (path: RelativePath, node: MemoryNode, folder: string): KeptEntry {
  return { folder, path, found: describeNode(splitPath(path).name, node) }
}
