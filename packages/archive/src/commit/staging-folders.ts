import type { ComparedDirectory } from '../compare/compared-directory.ts'
import type { Section } from '../store/section.ts'

/** A larger directory is committed in several batches anyway. */
const ENTRIES_MAX = 2048

interface Folder {
  /** Files that may still arrive. */
  awaited: number
  /** Files in the folder. */
  staged: number
  /** Whether it cannot be placed as a whole. */
  isSplit: boolean
}

/**
 * The files of a new directory are staged in a folder of their own, under their final names. If the directory holds nothing else, one
 * rename places all of them: renaming 100,000 files one by one took a fifth of the time that the server spent on them.
 */
export class StagingFolders {
  /** By the position of the directory among the compared ones, which is the number of the folder. */
  readonly #folders = new Map<number, Folder>()

  /** @param others directories with files that move, or that are names of one file: such files are staged elsewhere */
  constructor (directories: readonly ComparedDirectory[], others: { has (directory: ComparedDirectory): boolean }) {
    directories.forEach((compared, number) => {
      const { isNew, directory, wanted, structure } = compared
      const isOwn = isNew && directory !== '' && !others.has(compared)
      const isWorthIt = wanted.length > 1 && wanted.length + structure.length <= ENTRIES_MAX
      if (isOwn && isWorthIt) this.#folders.set(number, { awaited: wanted.length, staged: 0, isSplit: structure.length > 0 })
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

  /** The folder may contain an incomplete file. */
  markIncomplete (number: number): void {
    const folder = this.#folders.get(number)
    if (folder !== undefined) folder.isSplit = true
  }

  /** Whether it is worth waiting for the rest of the section's folder. */
  isAwaited ({ folder: number }: Section): boolean {
    const folder = number === undefined ? undefined : this.#folders.get(number)
    return folder !== undefined && folder.awaited > 0 && !folder.isSplit
  }

  /** Folders whose files are all in the sections, and that get no more files. */
  wholeIn (sections: readonly Section[]): number[] {
    const found = new Map<number, number>()
    for (const { folder, staged } of sections) {
      if (folder !== undefined) found.set(folder, (found.get(folder) ?? 0) + staged.length)
    }
    return [...found].filter(([number, files]) => {
      const folder = this.#folders.get(number)
      return folder !== undefined && folder.awaited === 0 && !folder.isSplit && folder.staged === files
    }).map(([number]) => number)
  }
}
