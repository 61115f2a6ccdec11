import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Section } from './section.ts'

/**
 * The directories, links and metadata of a sync that have not taken their places yet. The first batch of files brings along
 * what it needs of them, and what is listed before that, so that it need not wait until all directories of a tree are made.
 */
export class PendingStructure {
  readonly #sections: readonly Section[]
  /** By the directory that a section lies in, the place behind that section. */
  readonly #behind = new Map<RelativePath, number>()
  #taken = 0

  /** @param sections a directory before what lies in it */
  constructor (sections: readonly Section[]) {
    this.#sections = sections
    sections.forEach(({ directory }, at) => { this.#behind.set(directory, at + 1) })
  }

  /** What has to stand before the entries of other sections can. */
  takeFor (sections: readonly Section[]): Section[] {
    let end = this.#taken
    for (const { directory } of sections) end = Math.max(end, this.#behindWhatMakes(directory))
    return this.#takeUpTo(end)
  }

  /** All that is left. */
  takeAll (): Section[] {
    return this.#takeUpTo(this.#sections.length)
  }

  // What makes its parent comes before the section that it stands in itself.
  #behindWhatMakes (directory: RelativePath): number {
    return directory === ROOT_PATH ? 0 : this.#behind.get(splitPath(directory).directory) ?? 0
  }

  #takeUpTo (end: number): Section[] {
    const start = this.#taken
    this.#taken = end
    return this.#sections.slice(start, end)
  }
}
