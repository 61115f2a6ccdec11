import { splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryId, ExcludedName } from './directory-reading.ts'
import type { SourceRoot } from './source-root.ts'

/** A directory that is not scanned, such as the state of the program that scans. */
export interface ExcludedDirectory {
  /** Absolute, or relative to the root of the source. It need not exist, and may lead out of the source. */
  readonly path: string
  /** The reason as a clause, for {@link Explanation}: `it holds the state of this program`. */
  readonly why: string
}

/**
 * The directories that are not listed. They are found by their path, and by device and inode wherever else they appear, for
 * example through a bind mount.
 */
export class Exclusions {
  readonly #directories: readonly ExcludedDirectory[]
  readonly #root: SourceRoot
  /** Where excluded directories are in the source, each with its index. */
  readonly #found = new Map<RelativePath, number>()
  #byPath = new Map<RelativePath, number>()
  #ids: readonly DirectoryId[] = []

  constructor (directories: readonly ExcludedDirectory[], root: SourceRoot) {
    this.#directories = directories
    this.#root = root
    this.locate()
  }

  /** Looks up where the directories are now. */
  locate (): void {
    if (this.#directories.length === 0) return
    const places = this.#directories.map(({ path }) => this.#root.find(path))
    this.#ids = places.map(place => place ?? NOWHERE)
    this.#byPath = new Map(places.flatMap((place, index) => place?.path === undefined || place.path === '' ? [] : [[place.path, index]]))
  }

  /** What identifies the directories, in their order. */
  get ids (): readonly DirectoryId[] {
    return this.#ids
  }

  /** Where the directories are in the source by their path. */
  get paths (): Iterable<RelativePath> {
    return this.#byPath.keys()
  }

  /** Replaces what was found in one directory by device and inode. */
  record (directory: RelativePath, excluded: readonly ExcludedName[] = []): void {
    if (this.#found.size > 0) for (const path of this.#found.keys()) if (splitPath(path).directory === directory) this.#found.delete(path)
    for (const { name, index } of excluded) this.#found.set((directory === '' ? name : `${directory}/${name}`) as RelativePath, index)
  }

  /** Why a path is excluded; undefined if it is not. */
  why (path: RelativePath): string | undefined {
    return this.#find(path, isAtOrBelow)
  }

  /** Whether a path is below an excluded directory, so that a change of it is no change of the source. */
  isBelow (path: RelativePath): boolean {
    return this.#find(path, (below, directory) => below.startsWith(`${directory}/`)) !== undefined
  }

  #find (path: RelativePath, matches: (path: RelativePath, directory: RelativePath) => boolean): string | undefined {
    for (const places of [this.#byPath, this.#found]) {
      for (const [directory, index] of places) if (matches(path, directory)) return this.#directories[index]?.why
    }
    return undefined
  }
}

/** No directory has this inode number. */
const NOWHERE: DirectoryId = { device: 0n, inode: 0n }

function isAtOrBelow (path: RelativePath, directory: RelativePath): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
