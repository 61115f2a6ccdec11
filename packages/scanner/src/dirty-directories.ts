import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** The directories that have to be read again; the rest of a tree is taken as it was. */
export class DirtyDirectories {
  readonly #own = new Set<RelativePath>()
  readonly #above = new Set<RelativePath>()
  readonly #whole = new Set<RelativePath>()
  #everything = false

  /** Everything has to be read again. */
  get everything (): boolean {
    return this.#everything
  }

  get isEmpty (): boolean {
    return !this.#everything && this.#own.size === 0
  }

  /** Number of directories marked one by one. */
  get size (): number {
    return this.#own.size
  }

  markEverything (): void {
    this.#everything = true
    this.#own.clear()
    this.#above.clear()
    this.#whole.clear()
  }

  /** Marks one directory, not what lies below it. */
  mark (directory: RelativePath): void {
    if (this.#everything || this.#own.has(directory)) return
    this.#own.add(directory)
    for (let at = directory; at !== ROOT_PATH;) {
      at = splitPath(at).directory
      if (this.#above.has(at)) break
      this.#above.add(at)
    }
  }

  /**
   * Marks what an event about a path puts in doubt: the directory it lies in, and the one above, whose listing holds that
   * directory's mtime; and, should it be a directory, the path itself with all below it. For it may have been away under
   * another name, and what was changed in it there was told under that name.
   */
  markEvent (path: RelativePath): void {
    this.mark(path)
    if (!this.#everything) this.#whole.add(path)
    if (path === ROOT_PATH) return
    const parent = splitPath(path).directory
    this.mark(parent)
    if (parent !== ROOT_PATH) this.mark(splitPath(parent).directory)
  }

  /** Takes over what another set has marked. */
  add (other: DirtyDirectories): void {
    if (other.#everything) this.markEverything()
    else for (const directory of other.#own) this.mark(directory)
    if (!this.#everything) for (const directory of other.#whole) this.#whole.add(directory)
  }

  /** Whether a directory has to be read again with all below it. */
  hasWhole (directory: RelativePath): boolean {
    return this.#everything || this.#whole.has(directory)
  }

  has (directory: RelativePath): boolean {
    return this.#everything || this.#own.has(directory)
  }

  hasBelow (directory: RelativePath): boolean {
    return this.#everything || this.#above.has(directory)
  }
}
