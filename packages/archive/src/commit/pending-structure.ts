import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import { structureOf } from '../compare/cut-section.ts'
import type { Section } from '../store/section.ts'

/**
 * The directories, links and metadata of a sync that have not taken their places yet. The first batch of files brings along
 * what it needs of them, and what is listed before that, so that it need not wait until all directories of a tree are made.
 * Their sections are cut when they are taken: those of a million directories would take a gigabyte.
 */
export class PendingStructure {
  readonly #directories: readonly ComparedDirectory[]
  readonly #owners: ReadonlyMap<RelativePath, number>
  #taken = 0

  /**
   * @param directories a directory before what lies in it
   * @param owners the place of each among them
   */
  constructor (directories: readonly ComparedDirectory[], owners: ReadonlyMap<RelativePath, number>) {
    this.#directories = directories
    this.#owners = owners
  }

  /** Whether something is left to take. */
  get isLeft (): boolean {
    for (; this.#taken < this.#directories.length; this.#taken++) if (this.#directories[this.#taken]?.structure.length !== 0) return true
    return false
  }

  /** Some of what has to be in its place before the entries of other sections can be: all of that once fewer than `most` come. */
  takeFor (sections: readonly Section[], most: number): Section[] {
    let end = this.#taken
    for (const { directory } of sections) end = Math.max(end, this.#behindWhatMakes(directory))
    return this.#takeUpTo(end, most)
  }

  /** Some of what is left; all of it once fewer than `most` come. */
  take (most: number): Section[] {
    return this.#takeUpTo(this.#directories.length, most)
  }

  // What makes its parent comes before the section that it stands in itself.
  #behindWhatMakes (directory: RelativePath): number {
    if (directory === ROOT_PATH) return 0
    const owner = this.#owners.get(splitPath(directory).directory)
    return owner === undefined ? 0 : owner + 1
  }

  #takeUpTo (end: number, most: number): Section[] {
    const sections: Section[] = []
    while (this.#taken < end && sections.length < most) {
      const directory = this.#directories[this.#taken++]
      if (directory !== undefined && directory.structure.length > 0) sections.push(structureOf(directory))
    }
    return sections
  }
}
