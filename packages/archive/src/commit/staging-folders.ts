import type { ComparedDirectory } from '../compare/compared-directory.ts'
import type { Section } from '../store/section.ts'

/** A larger directory is committed in parts anyway. */
const ENTRIES_MAX = 2048

interface Folder {
  /** Files that may still arrive. */
  awaited: number
  /** Files that lie in the folder. */
  staged: number
  /** Whether it cannot be placed as a whole. */
  isParted: boolean
}

/**
 * The files of a directory that is new are staged in a folder of its own, under the names that they will have. Where the
 * directory holds nothing else, one rename puts all of them in their places: renaming 100,000 files one by one took a
 * fifth of the time that the server had for them.
 */
export class StagingFolders {
  /** By the place of the directory among the compared ones, which is the number of the folder. */
  readonly #folders = new Map<number, Folder>()

  /** @param moved those that files move to: what moves is staged elsewhere */
  constructor (directories: readonly ComparedDirectory[], moved: { has (directory: ComparedDirectory): boolean }) {
    directories.forEach((compared, number) => {
      const { isNew, directory, wanted, structure } = compared
      const isOwn = isNew && directory !== '' && !moved.has(compared)
      const isWorthIt = wanted.length > 1 && wanted.length + structure.length <= ENTRIES_MAX
      if (isOwn && isWorthIt) this.#folders.set(number, { awaited: wanted.length, staged: 0, isParted: structure.length > 0 })
    })
  }

  has (number: number): boolean {
    return this.#folders.has(number)
  }

  /** Files of a directory have ended, successfully or not; `staged` of them are in its folder. */
  endFiles (number: number, files: number, staged: number): void {
    const folder = this.#folders.get(number)
    if (folder === undefined) return
    folder.awaited -= files
    folder.staged += staged
  }

  /** Something may lie in the folder that is not whole. */
  spoil (number: number): void {
    const folder = this.#folders.get(number)
    if (folder !== undefined) folder.isParted = true
  }

  /** Whether it is worth waiting for the rest of what belongs to the section's folder. */
  isAwaited ({ folder: number }: Section): boolean {
    const folder = number === undefined ? undefined : this.#folders.get(number)
    return folder !== undefined && folder.awaited > 0 && !folder.isParted
  }

  /** Folders of which everything stands in the sections, and nothing more will come. */
  wholeIn (sections: readonly Section[]): number[] {
    const found = new Map<number, number>()
    for (const { folder, staged } of sections) if (folder !== undefined) found.set(folder, (found.get(folder) ?? 0) + staged.length)
    return [...found].filter(([number, files]) => {
      const folder = this.#folders.get(number)
      return folder !== undefined && folder.awaited === 0 && !folder.isParted && folder.staged === files
    }).map(([number]) => number)
  }
}
