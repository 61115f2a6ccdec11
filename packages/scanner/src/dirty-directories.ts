import { pathNames, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'

/** What is dirty in one directory, and below it. */
export interface DirtyDirectory {
  /** Whether it is to be read again. */
  readonly isMarked: boolean
  /** Whether all its entries are to be read, and not only those that are named. */
  readonly isWhole: boolean
  /** Whether everything below it is to be read too. */
  readonly isSubtree: boolean
  /** Whether its entry in the directory above it is to be read. */
  readonly isNamed: boolean
  /** By name, what is dirty in it. Not everything in it need be a directory, or exist. */
  readonly below: ReadonlyMap<Name, DirtyDirectory>
}

class Marks implements DirtyDirectory {
  isMarked = false
  isWhole = false
  isSubtree = false
  isNamed = false
  /** Most entries are files, which have nothing below them. */
  #below: Map<Name, Marks> | undefined

  get below (): ReadonlyMap<Name, Marks> {
    return this.#below ?? NOTHING_BELOW
  }

  make (name: Name): Marks {
    this.#below ??= new Map()
    let marks = this.#below.get(name)
    if (marks === undefined) {
      marks = new Marks()
      this.#below.set(name, marks)
    }
    return marks
  }

  add (other: Marks): void {
    const stack: [Marks, Marks][] = [[this, other]]
    for (let pair = stack.pop(); pair !== undefined; pair = stack.pop()) {
      const [into, from] = pair
      into.isMarked ||= from.isMarked
      into.isWhole ||= from.isWhole
      into.isSubtree ||= from.isSubtree
      into.isNamed ||= from.isNamed
      for (const [name, marks] of from.below) stack.push([into.make(name), marks])
    }
  }
}

const NOTHING_BELOW: ReadonlyMap<Name, Marks> = new Map()

/**
 * The directories to read again, by their place in the tree; the rest is taken from the previous tree. A walk visits only what
 * is in here, so that it does not depend on the size of the tree.
 */
export class DirtyDirectories {
  #top = new Marks()
  #everything = false
  #isEmpty = true

  /** Whether everything is to be read again. */
  get everything (): boolean {
    return this.#everything
  }

  get isEmpty (): boolean {
    return this.#isEmpty
  }

  /** The marks of the root and below it; undefined if everything is to be read again. */
  get top (): DirtyDirectory | undefined {
    return this.#everything ? undefined : this.#top
  }

  markEverything (): void {
    this.#everything = true
    this.#isEmpty = false
    this.#top = new Marks()
  }

  /** Marks one directory, without those below it. */
  mark (directory: RelativePath): void {
    if (this.#everything) return
    this.#isEmpty = false
    let marks = this.#top
    for (const name of pathNames(directory)) marks = marks.make(name)
    marks.isMarked = true
    marks.isWhole = true
  }

  /**
   * Marks what may have changed with an event on a path: its entry in its parent directory; the entry of that in the directory
   * above, which has the parent's mtime; and the path itself with everything below, in case it is a directory. It may have
   * been renamed and back, and changes below it were reported under the other name.
   */
  markEvent (path: RelativePath): void {
    if (this.#everything) return
    this.#isEmpty = false
    let grandparent: Marks | undefined
    let parent: Marks | undefined
    let marks = this.#top
    for (const name of pathNames(path)) {
      grandparent = parent
      parent = marks
      marks = marks.make(name)
    }
    marks.isMarked = true
    marks.isWhole = true
    marks.isSubtree = true
    if (parent === undefined) return
    marks.isNamed = true
    parent.isMarked = true
    if (grandparent === undefined) return
    parent.isNamed = true
    grandparent.isMarked = true
  }

  /** Adds the marks of another set. */
  add (other: DirtyDirectories): void {
    if (other.#everything) this.markEverything()
    if (this.#everything || other.#isEmpty) return
    this.#isEmpty = false
    this.#top.add(other.#top)
  }

  /** Whether a directory is to be read again. */
  has (directory: RelativePath): boolean {
    if (this.#everything) return true
    let marks: DirtyDirectory | undefined = this.#top
    for (const name of directory === ROOT_PATH ? [] : pathNames(directory)) marks = marks?.below.get(name)
    return marks?.isMarked === true
  }
}
