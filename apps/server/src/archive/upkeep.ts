import type { Archive, Area } from '@filesync/archive'
import { asFileSyncError } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'

/** Versions expire by the day, so looking for them more often finds nothing. */
const PRUNE_EVERY_MS = 3_600_000
/** Areas whose client stays away are looked after too. */
const ROUND_EVERY_MS = 6 * 3_600_000
/** A client that comes every few seconds does not have its mirror looked at each time. */
const GLANCE_EVERY_MS = 60_000
/** What is compared with the index at a glance: some 50 ms of one core, and all of 100,000 files in fifty glances. */
const GLANCE = { directories: 1000, entries: 2000 }
/** To sign a file below this takes a tenth of a second, for which its first change can wait. */
const SIGNED_FROM_BYTES = 128 << 20

/** What looking after an area came to. */
export interface UpkeepReport {
  readonly area: string
  /** Versions past keeping that were dropped. */
  readonly pruned: number
  /** Paths that others changed, removed or added in the mirror; the next sync puts them right. */
  readonly externalChanges: readonly string[]
}

export interface UpkeepInit {
  readonly archive: Pick<Archive, 'area' | 'areas'>
  readonly clock: Clock
  /** Makes the signature of an open file, for the time when it changes. */
  readonly sign: (fd: number, sizeBytes: number, signal: AbortSignal) => Promise<Uint8Array | undefined>
  readonly onDone: (report: UpkeepReport) => void
  readonly onFailed: (area: string, error: FileSyncError) => void
}

/** Looks after areas when their sessions are over, one at a time: signs large files, drops old versions, and looks for changes by hand. */
export class Upkeep {
  readonly #init: UpkeepInit
  readonly #due = new Set<string>()
  readonly #prunedAtMs = new Map<string, number>()
  readonly #glancedAtMs = new Map<string, number>()
  #running: Promise<void> | undefined
  #cancelRound: () => void
  readonly #closed = new AbortController()

  constructor (init: UpkeepInit) {
    this.#init = init
    this.#cancelRound = this.#scheduleRound()
  }

  /** A session of the area is over. */
  schedule (area: string): void {
    // Who left before its turn, or only asked, has stored nothing; to open its area would make a folder for it.
    if (this.#closed.signal.aborted || !this.#init.archive.areas().includes(area)) return
    this.#due.add(area)
    this.#running ??= this.#run().finally(() => { this.#running = undefined })
  }

  /** Resolves when what is under way has ended; no more is begun. */
  async close (): Promise<void> {
    this.#closed.abort()
    this.#due.clear()
    this.#cancelRound()
    await this.#running
  }

  #scheduleRound (): () => void {
    return this.#init.clock.schedule(ROUND_EVERY_MS, () => {
      for (const area of this.#init.archive.areas()) this.schedule(area)
      this.#cancelRound = this.#scheduleRound()
    })
  }

  async #run (): Promise<void> {
    for (const area of this.#due) {
      this.#due.delete(area)
      try {
        this.#init.onDone(await this.#lookAfter(area))
      } catch (error) {
        this.#init.onFailed(area, asFileSyncError(error))
      }
    }
  }

  async #lookAfter (name: string): Promise<UpkeepReport> {
    const area = await this.#init.archive.area(name)
    await this.#signLarge(area)
    const pruned = await this.#ifDue(this.#prunedAtMs, [name, PRUNE_EVERY_MS], async () => await area.prune()) ?? 0
    const made = await this.#ifDue(this.#glancedAtMs, [name, GLANCE_EVERY_MS], async () => await area.checkMirror(GLANCE))
    return { area: name, pruned, externalChanges: made === undefined ? [] : [...made.changed, ...made.removed, ...made.added] }
  }

  async #signLarge (area: Area): Promise<void> {
    const { signal } = this.#closed
    try {
      await area.signLarge(async ({ fd, sizeBytes }) => await this.#init.sign(fd, sizeBytes, signal), SIGNED_FROM_BYTES)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Undefined where it was done less than so long ago. */
  async #ifDue<T> (doneAtMs: Map<string, number>, [area, everyMs]: readonly [string, number], work: () => Promise<T>): Promise<T | undefined> {
    const nowMs = this.#init.clock.monotonicMs()
    if (nowMs - (doneAtMs.get(area) ?? -Infinity) < everyMs) return undefined
    const result = await work()
    doneAtMs.set(area, nowMs)
    return result
  }
}
