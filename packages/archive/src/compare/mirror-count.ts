import { splitFolder } from '@filesync/protocol'
import { BRAKE_FILES } from './brake.ts'
import type { Comparison } from './comparison.ts'
import type { MirrorSize } from '../archive.ts'
import { countMirror } from './room.ts'
import type { SpaceLimits } from './room.ts'

/**
 * How much the mirror of an area holds, for the quota and the brake. It is counted while listings are compared, so that other work
 * can run in between: a million directories take seconds.
 */
export class MirrorCount {
  readonly #limits: SpaceLimits
  #size: MirrorSize | undefined
  #folders: ReadonlyMap<string, number> | undefined

  constructor (limits: SpaceLimits) {
    this.#limits = limits
  }

  /** Counts if there is a quota, or if much differs so far. Yields when it could pause. */
  * countIfNeeded (comparison: Comparison): Generator<undefined, void, undefined> {
    const { index, area, quotaBytes } = this.#limits
    const isNeeded = quotaBytes !== undefined || comparison.displaced.length > BRAKE_FILES
    if (this.#size === undefined && isNeeded) this.#size = yield * countMirror(index, area)
  }

  /** How many files a top directory of the area holds. */
  filesOf (folder: string): number {
    this.#folders ??= this.#countFolders()
    return this.#folders.get(folder) ?? 0
  }

  #countFolders (): ReadonlyMap<string, number> {
    const { index, area } = this.#limits
    const folders = new Map<string, number>()
    for (const { directory, files } of index.directories(area)) {
      const folder = splitFolder(directory).folder
      folders.set(folder, (folders.get(folder) ?? 0) + files)
    }
    return folders
  }

  /** Counts without a pause if it was not needed before. */
  get size (): MirrorSize {
    const { index, area } = this.#limits
    for (const counting = countMirror(index, area); this.#size === undefined;) {
      const step = counting.next()
      if (step.done === true) this.#size = step.value
    }
    return this.#size
  }
}
