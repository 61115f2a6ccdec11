import type { Archive, Area } from '@filesync/archive'
import { asFileSyncError } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'

/** Versions expire by the day, so more frequent pruning finds nothing. */
const PRUNE_EVERY_MS = 3_600_000
/** How often all areas get upkeep, also those whose clients stay away. */
const ALL_AREAS_EVERY_MS = 6 * 3_600_000
/** A client that syncs every few seconds does not get its mirror checked each time. */
const MIRROR_CHECK_EVERY_MS = 60_000
/** What one check compares with the index: it takes some 50 ms of one core, and covers 100,000 files in fifty checks. */
const MIRROR_CHECK = { directories: 1000, entries: 2000 }
/** Signing a smaller file takes less than a tenth of a second, so it can wait until the file first changes. */
const SIGNED_FROM_BYTES = 128 << 20

/** What upkeep of an area did. */
export interface UpkeepReport {
  readonly area: string
  /** How many expired versions were removed. */
  readonly pruned: number
  /** Paths in the mirror that something else changed, removed or added; the next sync corrects them. */
  readonly externalChanges: readonly string[]
}

export interface UpkeepInit {
  readonly archive: Pick<Archive, 'area' | 'areas'>
  readonly clock: Clock
  /** Makes the signature of an open file, which a delta needs when the file changes. */
  readonly sign: (fd: number, sizeBytes: number, signal: AbortSignal) => Promise<Uint8Array | undefined>
  /** Whether a client reads the area back, so that no version of it is removed now. By default none does. */
  readonly isBeingRead?: (area: string) => boolean
  readonly onDone: (report: UpkeepReport) => void
  readonly onFailed: (area: string, error: FileSyncError) => void
}

/** Maintains areas after their sessions, one area at a time: signs large files, removes expired versions, and checks the mirror. */
export class Upkeep {
  readonly #init: UpkeepInit
  readonly #due = new Set<string>()
  readonly #prunedAtMs = new Map<string, number>()
  readonly #checkedAtMs = new Map<string, number>()
  #running: Promise<void> | undefined
  #cancelAll: () => void
  readonly #closed = new AbortController()

  constructor (init: UpkeepInit) {
    this.#init = init
    this.#cancelAll = this.#scheduleAll()
  }

  /** Schedules upkeep of an area whose session has ended. */
  schedule (area: string): void {
    // A client that left before its turn, or only asked something, may have no area; opening it would create one.
    if (this.#closed.signal.aborted || !this.#init.archive.areas().includes(area)) return
    this.#due.add(area)
    this.#running ??= this.#run().finally(() => { this.#running = undefined })
  }

  /** Waits for the upkeep that is running, and begins no more. */
  async close (): Promise<void> {
    this.#closed.abort()
    this.#due.clear()
    this.#cancelAll()
    await this.#running
  }

  #scheduleAll (): () => void {
    return this.#init.clock.schedule(ALL_AREAS_EVERY_MS, () => {
      for (const area of this.#init.archive.areas()) this.schedule(area)
      this.#cancelAll = this.#scheduleAll()
    })
  }

  async #run (): Promise<void> {
    for (const area of this.#due) {
      this.#due.delete(area)
      try {
        this.#init.onDone(await this.#maintain(area))
      } catch (error) {
        this.#init.onFailed(area, asFileSyncError(error))
      }
    }
  }

  async #maintain (name: string): Promise<UpkeepReport> {
    // It may have been renamed or removed since it was due; opening it would create it again.
    if (!this.#init.archive.areas().includes(name)) return { area: name, pruned: 0, externalChanges: [] }
    const area = await this.#init.archive.area(name)
    await this.#signLarge(area)
    const isBeingRead = this.#init.isBeingRead?.(name) === true
    const pruned = isBeingRead ? 0 : await this.#ifDue(this.#prunedAtMs, [name, PRUNE_EVERY_MS], async () => await area.prune()) ?? 0
    const changes = await this.#ifDue(this.#checkedAtMs, [name, MIRROR_CHECK_EVERY_MS], async () => await area.checkMirror(MIRROR_CHECK))
    return { area: name, pruned, externalChanges: changes === undefined ? [] : [...changes.changed, ...changes.removed, ...changes.added] }
  }

  async #signLarge (area: Area): Promise<void> {
    const { signal } = this.#closed
    try {
      await area.signLarge(async ({ fd, sizeBytes }) => await this.#init.sign(fd, sizeBytes, signal), SIGNED_FROM_BYTES)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Does the work unless it was done less than `everyMs` ago; undefined then. */
  async #ifDue<T> (
    doneAtMs: Map<string, number>, [area, everyMs]: readonly [string, number], work: () => Promise<T>,
  ): Promise<T | undefined> {
    const nowMs = this.#init.clock.monotonicMs()
    if (nowMs - (doneAtMs.get(area) ?? -Infinity) < everyMs) return undefined
    const result = await work()
    doneAtMs.set(area, nowMs)
    return result
  }
}
