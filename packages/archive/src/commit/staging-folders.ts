import { ROOT_PATH } from '@filesync/protocol'
import type { ComparedDirectories } from '../compare/compared-directories.ts'
import type { Section } from '../store/section.ts'

/** A larger directory is committed in several batches anyway. */
const ENTRIES_MAX = 2048

/** Of a folder: it cannot be placed as a whole. */
const SPLIT = 1
/** There is a folder. */
const EXISTS = 2

/**
 * The files of a new directory are staged in a folder of their own, under their final names. If the directory holds nothing else, one
 * rename places all of them: renaming 100,000 files one by one took a fifth of the time that the server spent on them.
 */
export class StagingFolders {
  // By the number of the directory, which is that of the folder. There may be a million.
  /** Files that may still arrive. */
  readonly #awaited: Uint16Array
  /** Files in the folder. */
  readonly #staged: Uint16Array
  readonly #flags: Uint8Array

  /** @param others numbers of directories with files that move, or that are names of one file: such files are staged elsewhere */
  constructor (directories: ComparedDirectories, others: ReadonlySet<number>) {
    this.#awaited = new Uint16Array(directories.length)
    this.#staged = new Uint16Array(directories.length)
    this.#flags = new Uint8Array(directories.length)
    for (const { owner, isNew, wantedCount, structureCount } of directories) {
      const isOwn = isNew && directories.paths.at(owner) !== ROOT_PATH && !others.has(owner)
      const isWorthIt = wantedCount > 1 && wantedCount + structureCount <= ENTRIES_MAX
      if (!isOwn || !isWorthIt) continue
      this.#awaited[owner] = wantedCount
      this.#flags[owner] = EXISTS | (structureCount > 0 ? SPLIT : 0)
    }
  }

  has (number: number): boolean {
    return this.#flagsOf(number) !== 0
  }

  /** Files of a directory have ended, successfully or not; `staged` of them are in its folder. */
  endFiles (number: number, files: number, staged: number): void {
    if (!this.has(number)) return
    this.#awaited[number] = (this.#awaited[number] ?? 0) - files
    this.#staged[number] = (this.#staged[number] ?? 0) + staged
  }

  /** The folder may contain an incomplete file. */
  markIncomplete (number: number): void {
    if (this.has(number)) this.#flags[number] = EXISTS | SPLIT
  }

  /** Whether it is worth waiting for the rest of the section's folder. */
  isAwaited ({ folder: number }: Section): boolean {
    return number !== undefined && (this.#awaited[number] ?? 0) > 0 && this.#flagsOf(number) === EXISTS
  }

  /** Folders whose files are all in the sections, and that get no more files. */
  wholeIn (sections: readonly Section[]): number[] {
    const found = new Map<number, number>()
    for (const { folder, staged } of sections) {
      if (folder !== undefined) found.set(folder, (found.get(folder) ?? 0) + staged.length)
    }
    const isWhole = (number: number, files: number): boolean => (
      this.#flagsOf(number) === EXISTS && this.#awaited[number] === 0 && this.#staged[number] === files
    )
    return [...found].filter(([number, files]) => isWhole(number, files)).map(([number]) => number)
  }

  #flagsOf (number: number): number {
    return this.#flags[number] ?? 0
  }
}
