import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** The directories to read again; the rest is taken from the previous tree. */
export class DirtyDirectories {
  readonly #single = new Set<RelativePath>()
  readonly #ancestors = new Set<RelativePath>()
  readonly #subtrees = new Set<RelativePath>()
  #everything = false

  /** Whether everything is to be read again. */
  get everything (): boolean {
    return this.#everything
  }

  get isEmpty (): boolean {
    return !this.#everything && this.#single.size === 0
  }

  /** Number of directories marked one by one. */
  get size (): number {
    return this.#single.size
  }

  markEverything (): void {
    this.#everything = true
    this.#single.clear()
    this.#ancestors.clear()
    this.#subtrees.clear()
  }

  /** Marks one directory, without those below it. */
  mark (directory: RelativePath): void {
    if (this.#everything || this.#single.has(directory)) return
    this.#single.add(directory)
    for (let at = directory; at !== ROOT_PATH;) {
      at = splitPath(at).directory
      if (this.#ancestors.has(at)) break
      this.#ancestors.add(at)
    }
  }

  /**
   * Marks what may have changed with an event on a path: its parent directory; the directory above that, whose listing has
   * the parent's mtime; and the path itself with everything below, in case it is a directory. It may have been renamed and
   * back, and changes below it were reported under the other name.
   */
  markEvent (path: RelativePath): void {
    this.mark(path)
    if (!this.#everything) this.#subtrees.add(path)
    if (path === ROOT_PATH) return
    const parent = splitPath(path).directory
    this.mark(parent)
    if (parent !== ROOT_PATH) this.mark(splitPath(parent).directory)
  }

  /** Adds the marks of another set. */
  add (other: DirtyDirectories): void {
    if (other.#everything) this.markEverything()
    else for (const directory of other.#single) this.mark(directory)
    if (!this.#everything) for (const directory of other.#subtrees) this.#subtrees.add(directory)
  }

  /** Whether a directory is to be read again with everything below it. */
  hasSubtree (directory: RelativePath): boolean {
    return this.#everything || this.#subtrees.has(directory)
  }

  has (directory: RelativePath): boolean {
    return this.#everything || this.#single.has(directory)
  }

  hasBelow (directory: RelativePath): boolean {
    return this.#everything || this.#ancestors.has(directory)
  }
}
