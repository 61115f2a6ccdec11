import { LEGACY_LIMITS } from '@filesync/protocol/legacy'

interface Habit {
  replyBytes: number
  troubled: ReadonlySet<string>
}

/** How many clients are remembered; the one that was not here for longest is forgotten first. */
const MAX_CLIENTS = 256

/** What is remembered of clients of the original program from one session to the next, so that each one comes further. */
export class ClientMemory {
  readonly #habits = new Map<string, Habit>()

  /** How long TASKS may be. */
  replyBytes (area: string): number {
    return this.#habits.get(area)?.replyBytes ?? LEGACY_LIMITS.recvBytes
  }

  /**
   * A client went away, or fell silent, when it was asked for files. The original reads the reply with one `recv`, which
   * returns the first segment where the rest is late: from now on the reply fits one.
   */
  noteUnanswered (area: string, replyBytes: number): void {
    if (replyBytes > LEGACY_LIMITS.segmentBytes) this.#habitOf(area).replyBytes = LEGACY_LIMITS.segmentBytes
  }

  /** Paths that could not be stored. */
  noteProblems (area: string, paths: readonly string[]): void {
    if (paths.length > 0 || this.#habits.has(area)) this.#habitOf(area).troubled = new Set(paths)
  }

  /** What is wanted, with that behind which could not be stored last time: it must not take the place of all others for ever. */
  order<T extends string> (area: string, wanted: readonly T[]): readonly T[] {
    const troubled = this.#habits.get(area)?.troubled
    if (troubled === undefined || troubled.size === 0) return wanted
    return [...wanted.filter(path => !troubled.has(path)), ...wanted.filter(path => troubled.has(path))]
  }

  #habitOf (area: string): Habit {
    const habit = this.#habits.get(area) ?? { replyBytes: LEGACY_LIMITS.recvBytes, troubled: new Set() }
    // The order of a Map is that of insertion.
    this.#habits.delete(area)
    this.#habits.set(area, habit)
    const [oldest] = this.#habits.keys()
    if (this.#habits.size > MAX_CLIENTS && oldest !== undefined) this.#habits.delete(oldest)
    return habit
  }
}
