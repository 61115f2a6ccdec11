import { BRAKE_FILES } from './brake.ts'
import type { Comparison } from './comparison.ts'
import type { MirrorSize } from '../archive.ts'
import { countMirror } from './room.ts'
import type { Room } from './room.ts'

/**
 * How much an area holds, for the quota and the brake. It is counted while the listings are compared, where others have the thread
 * in between: a million directories take seconds.
 */
export class StoredAmount {
  readonly #room: Room
  #size: MirrorSize | undefined

  constructor (room: Room) {
    this.#room = room
  }

  /** Counts, where what was compared so far makes it necessary. Yields at moments at which it could pause. */
  * count (comparison: Comparison): Generator<undefined, void, undefined> {
    const { index, area, quotaBytes } = this.#room
    if (this.#size === undefined && (quotaBytes !== undefined || comparison.displaced.length > BRAKE_FILES)) this.#size = yield * countMirror(index, area)
  }

  /** What was counted; counts now where that was not necessary before. */
  get size (): MirrorSize {
    const { index, area } = this.#room
    for (const counting = countMirror(index, area); this.#size === undefined;) {
      const step = counting.next()
      if (step.done === true) this.#size = step.value
    }
    return this.#size
  }
}
