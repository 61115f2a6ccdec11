import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { Version } from '../content-store.ts'
import { getOrInsert } from './get-or-insert.ts'
import { describeNode } from './memory-folder.ts'
import type { MemoryFolder, MemoryNode } from './memory-folder.ts'

/** Where something stood until it was replaced or removed. */
interface FormerPlace {
  readonly area: string
  readonly directory: RelativePath
  /** Of the sync that put it away. */
  readonly stampMs: number
}

/** What was replaced or removed, by the time of the sync that did it. */
export class MemoryVersions {
  readonly #newFolder: () => MemoryFolder
  readonly #stamps = new Map<string, Map<number, MemoryFolder>>()

  constructor (newFolder: () => MemoryFolder) {
    this.#newFolder = newFolder
  }

  keep ({ area, directory, stampMs }: FormerPlace, name: string, node: MemoryNode): void {
    const home = getOrInsert(this.#stamps, area, () => new Map<number, MemoryFolder>())
    for (let at = stampMs; ; at++) {
      const folder = getOrInsert(home, at, this.#newFolder).below(directory, 'make')
      if (folder === undefined || folder.get(name) !== undefined) continue
      folder.put(name, node)
      return
    }
  }

  /** What one sync put away. */
  at (area: string, stampMs: number): MemoryFolder | undefined {
    return this.#stamps.get(area)?.get(stampMs)
  }

  /** Earlier states of a path and of what lies below it, newest first. */
  list (area: string, path: RelativePath): Version[] {
    const stamps = [...this.#stamps.get(area) ?? []].sort(([a], [b]) => b - a)
    return stamps.flatMap(([untilMs, folder]) => {
      if (path === ROOT_PATH) return below(folder, path, untilMs)
      const node = folder.at(path)
      return node === undefined ? [] : [versionOf(path, node, untilMs), ...below(node, path, untilMs)]
    })
  }

  /** Drops a version, and the folders that are empty without it. */
  drop (area: string, { untilMs, path, kind }: Version): void {
    const home = this.#stamps.get(area)
    const stamp = home?.get(untilMs)
    if (stamp === undefined) return
    const { directory, name } = splitPath(path)
    if (kind !== 'directory') stamp.below(directory)?.take(name)
    for (let at = kind === 'directory' ? path : directory; at !== ROOT_PATH; at = splitPath(at).directory) {
      if (stamp.below(at)?.isEmpty === true) stamp.below(splitPath(at).directory)?.take(splitPath(at).name)
    }
    if (stamp.isEmpty) home?.delete(untilMs)
  }
}

function below (node: MemoryNode, path: RelativePath, untilMs: number): Version[] {
  if (node.kind !== 'directory') return []
  return node.entries().flatMap(({ name, node: child }) => {
    const at = joinPath(path, name as Name)
    return [versionOf(at, child, untilMs), ...below(child, at, untilMs)]
  })
}

function versionOf (path: RelativePath, node: MemoryNode, untilMs: number): Version {
  const { kind, sizeBytes, mtimeNs } = describeNode(path, node)
  return { untilMs, sinceMs: node.sinceMs, path, kind, sizeBytes, mtimeNs }
}
