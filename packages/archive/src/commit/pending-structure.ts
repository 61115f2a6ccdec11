import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ComparedDirectories } from '../compare/compared-directories.ts'
import { structureOf } from '../compare/cut-section.ts'
import type { Section } from '../store/section.ts'

/**
 * The directories, links and metadata changes of a sync that are not placed yet. The first batch of files takes those that it needs, and
 * those listed before them, so it need not wait until all directories of a tree are made. Sections are cut when they are taken: those of a
 * million directories would take a gigabyte.
 */
export class PendingStructure {
  readonly #directories: ComparedDirectories
  #taken = 0

  /** @param directories each directory before those inside it */
  constructor (directories: ComparedDirectories) {
    this.#directories = directories
  }

  /** Whether anything is left to take. */
  get isLeft (): boolean {
    for (; this.#taken < this.#directories.length; this.#taken++) if (this.#directories.structureCounts.at(this.#taken) > 0) return true
    return false
  }

  /** Takes sections that must be placed before the given ones, at most `most`. If it returns fewer, those are the last. */
  takeFor (sections: readonly Section[], most: number): Section[] {
    let end = this.#taken
    for (const { directory } of sections) end = Math.max(end, this.#endOfParents(directory))
    return this.#takeUpTo(end, most)
  }

  /** Takes sections in order, at most `most`. If it returns fewer, those are the last. */
  take (most: number): Section[] {
    return this.#takeUpTo(this.#directories.length, most)
  }

  // A directory is an entry of its parent's section.
  #endOfParents (directory: RelativePath): number {
    if (directory === ROOT_PATH) return 0
    const owner = this.#directories.ownerOf(splitPath(directory).directory)
    return owner === undefined ? 0 : owner + 1
  }

  #takeUpTo (end: number, most: number): Section[] {
    const sections: Section[] = []
    while (this.#taken < end && sections.length < most) {
      const directory = this.#directories.at(this.#taken++)
      if (directory.structureCount > 0) sections.push(structureOf(directory))
    }
    return sections
  }
}
