import { LEGACY_LIMITS } from '@filesync/protocol/legacy'

interface ClientRecord {
  replyBytes: number
  failedPaths: ReadonlySet<string>
}

/** How many clients are remembered; the least recently updated one is forgotten first. */
const MAX_CLIENTS = 256

/** Remembers facts about legacy clients from one session to the next, so that a session that failed gets further the next time. */
export class ClientMemory {
  readonly #records = new Map<string, ClientRecord>()

  /** The maximum size of TASKS for this client. */
  replyBytes (area: string): number {
    return this.#records.get(area)?.replyBytes ?? LEGACY_LIMITS.recvBytes
  }

  /**
   * Notes that a client left, or fell silent, after it was sent TASKS. The original reads TASKS with a single `recv`, which returns
   * only the first segment if the rest is late. From now on TASKS fits one segment.
   */
  noteUnanswered (area: string, replyBytes: number): void {
    if (replyBytes > LEGACY_LIMITS.segmentBytes) this.#recordOf(area).replyBytes = LEGACY_LIMITS.segmentBytes
  }

  /** Notes the paths that could not be stored in the last session. */
  noteProblems (area: string, paths: readonly string[]): void {
    if (paths.length > 0 || this.#records.has(area)) this.#recordOf(area).failedPaths = new Set(paths)
  }

  /** Moves paths that could not be stored last time to the end, so that they do not keep all others from being requested. */
  sortWanted<T extends string> (area: string, wanted: readonly T[]): readonly T[] {
    const failed = this.#records.get(area)?.failedPaths
    if (failed === undefined || failed.size === 0) return wanted
    return [...wanted.filter(path => !failed.has(path)), ...wanted.filter(path => failed.has(path))]
  }

  #recordOf (area: string): ClientRecord {
    const record = this.#records.get(area) ?? { replyBytes: LEGACY_LIMITS.recvBytes, failedPaths: new Set() }
    // A Map iterates in insertion order, so this makes the record the newest.
    this.#records.delete(area)
    this.#records.set(area, record)
    const [oldest] = this.#records.keys()
    if (this.#records.size > MAX_CLIENTS && oldest !== undefined) this.#records.delete(oldest)
    return record
  }
}
